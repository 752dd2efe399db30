//! What bad input, bad luck and bad neighbours get: an error that says so, and a store as before.
//!
//! What the rest of the suite shows already (interrupted builds, circles of stages, newer stores)
//! is not shown again; what all of this adds is a thorough `fsck` behind every case.

mod crash;
mod disk;
mod dockerfiles;
mod files;
mod hostile;
mod large;
mod neighbours;
mod steps;
mod transfers;

use std::time::{Duration, Instant};

use crate::sandbox::{Printed, Sandbox};

/// A project with this Dockerfile, and `busybox` in the store.
fn project(dockerfile: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.write("Dockerfile", dockerfile);
    sandbox
}

/// Asserts that the store is whole, down to the bytes of every file.
fn clean(sandbox: &Sandbox) {
    let checked = sandbox.gantry(["fsck", "--deep"]).success().stdout;
    assert!(checked.starts_with("Checked "), "{checked}");
}

/// Asserts that a command fails with these words, and that the store is as before.
fn refused<const N: usize>(sandbox: &Sandbox, args: [&str; N], words: &[&str]) -> Printed {
    let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
    let listing = ["images", "--all", "--no-trunc", "--format", format];
    let images = || sandbox.gantry(listing).success().stdout;
    let before = images();
    let printed = sandbox.gantry(args).code(1);
    let last = printed.stderr.rfind("ERROR: ").map(|at| &printed.stderr[at..]);
    let last = last.unwrap_or_else(|| panic!("no error is printed:\n{}", printed.stderr));
    for word in words {
        assert!(last.contains(word), "`{word}` is missing:\n{}", printed.stderr);
    }
    assert_eq!(images(), before);
    clean(sandbox);
    printed
}

/// Asserts that a build of the project fails with these words, and that the store is as before.
fn build_refused(sandbox: &Sandbox, words: &[&str]) -> Printed {
    refused(sandbox, ["build", "--network", "none", "-t", "bad", "."], words)
}

/// Builds the project without a network, and returns what the build printed.
fn built(sandbox: &Sandbox) -> Printed {
    sandbox.gantry(["build", "--network", "none", "-t", "good", "."]).success()
}

/// Runs a command in the image that [`built`] made.
fn in_image<const N: usize>(sandbox: &Sandbox, command: [&str; N]) -> String {
    let mut gantry = sandbox.command(["run", "--rm", "--network", "none", "good"]);
    let output = gantry.args(command).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until something holds, at most ten seconds.
fn soon(mut holds: impl FnMut() -> bool) -> bool {
    let patience = Instant::now() + Duration::from_secs(10);
    while Instant::now() < patience {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// A file beside this one that is not named above would never run.
#[test]
fn no_file_is_forgotten() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/robustness");
    let Ok(entries) = fs_err::read_dir(here) else {
        return crate::eprintln_skip("the sources are not readable here");
    };
    let this = include_str!("mod.rs");
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        let named = this.lines().any(|line| line == format!("mod {module};"));
        assert!(named || module == "mod", "`{name}` is no module of `mod.rs`");
    }
}
