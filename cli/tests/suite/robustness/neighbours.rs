//! Several builds at once on one store: every step runs once, and all agree on the result.

use std::process::Stdio;

use super::{clean, project};

/// Every run of a step leaves a line in a cache mount that all builds share.
const COUNTING: &str = "FROM busybox AS one\n\
    RUN --mount=type=cache,target=/count echo one >> /count/runs; sleep 0.4; echo 1 > /one\n\
    FROM busybox AS two\n\
    RUN --mount=type=cache,target=/count echo two >> /count/runs; sleep 0.3; date > /two\n\
    FROM busybox\n\
    COPY --from=one /one /\n\
    COPY --from=two /two /\n\
    RUN --mount=type=cache,target=/count echo three >> /count/runs; sleep 0.2; date > /three\n";

/// Builds the same Dockerfile as often as said at once.
fn at_once(builds: usize) {
    let sandbox = project(COUNTING);
    let children: Vec<_> = (0..builds)
        .map(|_| {
            let mut command = sandbox.command(["build", "-q", "--network", "none", "-t", "x", "."]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut ids = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ids.push(String::from_utf8(output.stdout).unwrap());
    }
    assert!(ids[0].starts_with("sha256:"), "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let read = "FROM busybox\nRUN --mount=type=cache,target=/count sort /count/runs > /runs\n";
    sandbox.write("Dockerfile", read);
    super::built(&sandbox);
    assert_eq!(super::in_image(&sandbox, ["cat", "/runs"]), "one\nthree\ntwo\n");
    clean(&sandbox);
}

#[test]
fn two_builds_of_the_same_run_each_step_once() {
    at_once(2);
}

#[test]
fn five_builds_of_the_same_run_each_step_once() {
    at_once(5);
}

#[test]
fn a_store_of_a_newer_version_is_not_touched() {
    let sandbox = project("FROM busybox\nRUN true\n");
    // Nobody has it open, so all is written back and there is one file to change.
    let database = sandbox.store().join("gantry.db");
    for suffix in ["-wal", "-shm"] {
        let _ = fs_err::remove_file(sandbox.store().join(format!("gantry.db{suffix}")));
    }
    let mut bytes = fs_err::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&9u32.to_be_bytes());
    fs_err::write(&database, &bytes).unwrap();
    let files = || {
        let output = std::process::Command::new("find")
            .arg(sandbox.store())
            // SQLite puts its two companions beside the database to read it, and is free to.
            .args(["-mindepth", "1", "-not", "-name", "gantry.db-*"])
            .args(["-printf", "%p %y %s %m %T@ %C@\n"])
            .output()
            .unwrap();
        let mut lines: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let before = files();
    for args in [
        ["build", "."],
        ["images", "-q"],
        ["prune", "-f"],
        ["fsck", "--repair"],
        ["rmi", "busybox"],
    ] {
        let error = sandbox.gantry(args).code(1).stderr;
        assert!(error.contains("was made by a newer gantry (format 9"), "{args:?}: {error}");
    }
    assert_eq!(files(), before);
    assert_eq!(fs_err::read(&database).unwrap(), bytes);
}
