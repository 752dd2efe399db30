//! Whether overlay works here: by mounting one, and by what comes of it.
//!
//! In a user namespace it can mount without `userxattr` and then fail with `EIO` at the first
//! deletion of a directory, so the trial deletes and replaces one, too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_tree::{FileKind, Follow, Root, TreePath};

use super::Overlay;
use crate::plan::root::mount_root;
use crate::spawn::own_mount_namespace;
use crate::{HostError, RootfsSpec, Security};

/// Tries it below `directory`, or where that would be made.
pub(super) fn attempt(directory: &Path, in_user_namespace: bool) -> Overlay {
    // Without user.* marks wherever the trusted.* ones work: older images of the store have those.
    let ways: &[bool] = if in_user_namespace { &[true] } else { &[false] };
    let mut reason = String::new();
    for &userxattr in ways {
        // In a thread of its own, which may get a mount namespace of its own.
        let result =
            std::thread::scope(|scope| scope.spawn(|| attempt_here(directory, userxattr)).join());
        match result {
            Ok(Ok(())) => return Overlay::Available { userxattr },
            Ok(Err(error)) => reason = with_causes(&error),
            Err(_) => "the trial has panicked".clone_into(&mut reason),
        }
    }
    Overlay::Unavailable { reason }
}

pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A scratch directory, removed with all below it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Names one below `directory`; makes nothing.
    pub(super) fn new(directory: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(directory.join(format!(".probe-{}-{count}", std::process::id())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = gantry_tree::remove_tree(&self.0);
    }
}

fn attempt_here(directory: &Path, userxattr: bool) -> Result<(), HostError> {
    let trial =
        |cause| HostError::Trial { what: "overlay", directory: directory.to_owned(), cause };
    let refused = |error: crate::SpawnError| trial(io::Error::other(with_causes(&error)));
    own_mount_namespace().map_err(refused)?;
    let scratch = Scratch::new(directory);
    let make = |name: &str| {
        let path = scratch.0.join(name);
        fs_err::create_dir_all(&path).map_err(trial).map(|()| path)
    };
    let (lower, second) = (make("lower")?, make("second")?);
    make("lower/directory/inner")?;
    make("second/other")?;
    let spec = RootfsSpec::overlay(vec![second, lower], make("upper")?, make("work")?, userxattr);
    let mount = mount_root(&spec, Security::Sandbox).map_err(refused)?;
    let merged = Root::from_fd(mount);
    let tried = replace_directory(&merged);
    drop(merged);
    tried.map_err(trial)?;
    let upper =
        Root::open(scratch.0.join("upper")).map_err(|error| trial(io::Error::other(error)))?;
    let whiteout = TreePath::clamp("other")
        .map_err(io::Error::other)
        .and_then(|path| upper.stat(&path, Follow::Parents).map_err(io::Error::other))
        .map_err(trial)?;
    if whiteout.kind == FileKind::CharDevice {
        Ok(())
    } else {
        Err(trial(io::Error::other("a deletion does not show as a whiteout")))
    }
}

/// Deletes one directory of a lower layer, and puts another in place of a second one.
fn replace_directory(merged: &Root) -> io::Result<()> {
    let path = |text: &str| TreePath::clamp(text).map_err(io::Error::other);
    let (directory, other) = (path("directory")?, path("other")?);
    merged.remove_dir(&other).map_err(io::Error::other)?;
    merged.remove_all(&directory).map_err(io::Error::other)?;
    merged.mkdir(&directory, 0o755).map_err(io::Error::other)?;
    if merged.stat(&path("directory/inner")?, Follow::Parents).is_ok() {
        return Err(io::Error::other("a replaced directory shows its old content"));
    }
    Ok(())
}
