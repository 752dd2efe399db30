//! Whether layers can be used without being unpacked, by laying overlay over one.
//!
//! The trial's tar and index are what gantry's own writer makes of a file, a whiteout and an opaque
//! directory; a test of the executor holds them against it.

use std::io;
use std::path::Path;

use gantry_tree::{Follow, Root, TreePath};

use super::overlay::{Scratch, with_causes};
use crate::plan::root::mount_root;
use crate::spawn::own_mount_namespace;
use crate::{HostError, Lower, RootfsSpec, Security};

const TAR: &[u8] = include_bytes!("trial.tar");
const INDEX: &[u8] = include_bytes!("trial.index");

/// Tries it below `directory`.
pub(super) fn attempt(directory: &Path) -> Result<(), String> {
    // In a thread of its own, which may get a mount namespace of its own.
    match std::thread::scope(|scope| scope.spawn(|| attempt_here(directory)).join()) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(with_causes(&error)),
        Err(_) => Err("the trial has panicked".to_owned()),
    }
}

fn attempt_here(directory: &Path) -> Result<(), HostError> {
    let trial = |cause| HostError::Trial {
        what: "a layer's index",
        directory: directory.to_owned(),
        cause,
    };
    let refused = |error: crate::SpawnError| trial(io::Error::other(with_causes(&error)));
    own_mount_namespace().map_err(refused)?;
    let scratch = Scratch::new(directory);
    for name in ["upper", "work", "lower/hidden", "layer"] {
        fs_err::create_dir_all(scratch.path().join(name)).map_err(trial)?;
    }
    for (name, bytes) in [
        ("lower/gone", b"".as_slice()),
        ("lower/hidden/below", b""),
        ("layer/tar", TAR),
        ("layer/index", INDEX),
    ] {
        fs_err::write(scratch.path().join(name), bytes).map_err(trial)?;
    }
    let lowers = vec![
        Lower::Tree(scratch.path().join("lower")),
        Lower::Index {
            tar: scratch.path().join("layer/tar"),
            index: scratch.path().join("layer/index"),
        },
    ];
    let (upper, work) = (scratch.path().join("upper"), scratch.path().join("work"));
    let spec = RootfsSpec::overlay(lowers, upper, work, false);
    let merged = Root::from_fd(mount_root(&spec, Security::Sandbox).map_err(refused)?);
    look(&merged).map_err(trial)
}

/// Holds what shows against what the trial's layers hold.
fn look(merged: &Root) -> io::Result<()> {
    let path = |text: &str| TreePath::clamp(text).map_err(io::Error::other);
    let is_there = |text: &str| match merged.stat(&path(text)?, Follow::Parents) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(io::Error::other(error)),
    };
    let content = merged.read(&path("file")?, 64).map_err(io::Error::other)?;
    if content.as_deref() != Some(b"works\n") {
        return Err(io::Error::other("its file shows other bytes"));
    }
    if is_there("gone")? || !is_there("hidden")? || is_there("hidden/below")? {
        return Err(io::Error::other("it does not hide what it should"));
    }
    Ok(())
}
