//! How a build ends (C7), and what is left of one that failed (F8).

use std::process::Stdio;
use std::time::Duration;

use super::project;
use crate::sandbox::Sandbox;

fn code(sandbox: &Sandbox, flags: &[&str]) -> i32 {
    let status = sandbox.command(["build"]).args(flags).arg(".").stderr(Stdio::null()).status();
    status.unwrap().code().unwrap()
}

#[test]
fn c7_01_success_failure_and_the_steps_own_code() {
    assert_eq!(code(&project("FROM busybox\n"), &[]), 0);
    let failing = project("FROM busybox\nRUN exit 7\n");
    assert_eq!(code(&failing, &[]), 1);
    assert_eq!(code(&failing, &["--propagate-exit-code"]), 7);
    assert_eq!(code(&failing, &["--propagate-exit-code=false"]), 1);
    assert_eq!(code(&project("FROM nothing\n"), &["--propagate-exit-code"]), 1);
}

/// See `robustness::disk` for a disk that is full.
#[test]
fn c7_03_too_little_memory() {
    let text = "FROM busybox\nRUN [\"awk\", \"BEGIN { s = 1; while (1) s = s s }\"]\n";
    let sandbox = project(text);
    let run = sandbox.gantry(["build", "--resource", "memory=20m", "."]);
    let shown = run.to_string();
    if shown.contains("cgroup") || shown.contains("exit code: 1\n") {
        assert!(!crate::sandbox::required("cgroup"), "memory can't be limited: {shown}");
        return crate::eprintln_skip("memory can't be limited here");
    }
    let stderr = run.code(102).stderr;
    assert!(stderr.contains("exit code: 137: cannot allocate memory"), "{stderr}");
}

#[test]
fn c7_04_a_canceled_build() {
    let sandbox = project("FROM busybox\nRUN sleep 60\n");
    let mut child = sandbox
        .command(["build", "--network", "none", "."])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The sandbox, when it goes, looks for processes and mounts that were left.
}

#[test]
fn c7_05_and_06_usage_and_findings() {
    assert_eq!(code(&project("FROM busybox\n"), &["--bogus"]), 1);
    let unwise = project("FROM busybox as x\n");
    assert_eq!(code(&unwise, &["--check"]), 1);
    assert_eq!(code(&unwise, &[]), 0);
    assert_eq!(code(&project("# check=error=true\nFROM busybox as x\n"), &[]), 1);
}

/// The test report of a step that failed is there, and so is its exit code (F8).
#[test]
fn f8_files_of_a_step_that_failed() {
    let text = "FROM busybox\nRUN mkdir -p /reports/deep && echo base > /reports/base\n\
        RUN --mount=type=tmpfs,target=/tmp echo '<junit/>' > /reports/deep/junit.xml; \
        ln -s deep/junit.xml /reports/link; rm /reports/base; exit 7\n";
    let sandbox = project(text);
    let flags = ["--propagate-exit-code", "--on-fail-output", "type=local,src=/reports,dest=out"];
    assert_eq!(code(&sandbox, &flags), 7);
    assert_eq!(sandbox.read("out/deep/junit.xml"), b"<junit/>\n");
    assert_eq!(sandbox.read("out/link"), b"<junit/>\n");
    assert!(!sandbox.project().join("out/base").exists(), "the step removed it");
    // One file, and a tar.
    let one = "type=local,src=/reports/deep/junit.xml,dest=one";
    assert_eq!(code(&sandbox, &["--on-fail-output", one]), 1);
    assert_eq!(sandbox.read("one/junit.xml"), b"<junit/>\n");
    assert_eq!(code(&sandbox, &["--on-fail-output", "type=tar,src=reports,dest=r.tar"]), 1);
    let bytes = sandbox.read("r.tar");
    let mut archive = tar::Archive::new(&*bytes);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().any(|name| name == "deep/junit.xml"), "{names:?}");
    // What isn't there is said; nothing of the failed step comes into the cache or the images.
    let shown = sandbox.gantry(["build", "--on-fail-output", "type=local,src=/no,dest=no", "."]);
    let shown = shown.code(1).stderr;
    assert!(shown.contains("The failed step has no `/no` to keep"), "{shown}");
    assert!(shown.contains("exit code: 7"), "{shown}");
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout.lines().count(), 1);
    // And a build that succeeds writes nothing there.
    let fine = project("FROM busybox\nRUN mkdir /reports\n");
    assert_eq!(code(&fine, &["--on-fail-output", "type=local,src=/reports,dest=out"]), 0);
    assert!(!fine.project().join("out").exists());
    let bad = fine.gantry(["build", "--on-fail-output", "src=/x", "."]).code(1).stderr;
    assert!(bad.contains("type is required for output"), "{bad}");
}
