//! Ctrl-C and its kin: the right exit code, and nothing left.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::sandbox::Sandbox;

/// Starts a command, and waits until it has printed this to stderr or stdout.
pub(crate) fn start<const N: usize>(sandbox: &Sandbox, args: [&str; N], until: &str) -> Child {
    let mut child = sandbox
        .command(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let on_stdout = args.contains(&"run");
    let mut line = String::new();
    if on_stdout {
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !line.contains(until) && lines.read_line(&mut line).unwrap() > 0 {}
        child.stdout = Some(lines.into_inner());
    } else {
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        while !line.contains(until) && lines.read_line(&mut line).unwrap() > 0 {}
        // Somebody has to go on reading, or the build would wait for it.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    }
    assert!(line.contains(until), "{line}");
    child
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn an_interrupted_build_ends_with_130() {
    for name in ["INT", "TERM"] {
        let text = "FROM busybox\nRUN echo running; sleep 1000\n";
        let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
        let mut child = start(&sandbox, ["build", "."], " running\n");
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        // The sandbox sees to it that no process and no mount is left.
        let again = "FROM busybox\nRUN echo done\n";
        sandbox.write("Dockerfile", again);
        sandbox.gantry(["build", "."]).success();
    }
}

#[test]
fn signals_reach_the_container() {
    let sandbox = Sandbox::new().with_busybox();
    let script = "trap 'exit 7' TERM; echo ready; while true; do sleep 0.05; done";
    let mut child = start(&sandbox, ["run", "--rm", "busybox", "sh", "-c", script], "ready\n");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_killed_gantry_takes_its_steps_along() {
    let text = "FROM busybox\nRUN echo running; sleep 1000\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    let mut child = start(&sandbox, ["build", "."], " running\n");
    signal(&child, "KILL");
    assert!(!child.wait().unwrap().success());
    sandbox.write("Dockerfile", "FROM busybox\nRUN echo done\n");
    sandbox.gantry(["build", "."]).success();
}
