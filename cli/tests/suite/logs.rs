//! What steps print, kept byte by byte (F12), and shown so that it harms no terminal (C6).

use crate::sandbox::Sandbox;
use crate::terminal::in_terminal;

/// What a hostile step prints: a title, a cleared screen, a report of the cursor, a link, all of
/// them in the other form as well, controls, and bytes that are no text.
const HOSTILE: &[u8] = b"before\x1b]0;owned\x07\x1b[2J\x1b[H\x1b[6n\x1b]8;;http://evil\x1b\\x\n\
    \xc2\x9b31mC1\xc2\x9d0;owned\xc2\x9c\n\
    \x08\x07\x00\x7f\xff\xfe\xc3\x28\xed\xa0\x80\n\
    10%\r50%\r100%\n\
    \r\n\
    no end\x1b[31m";

/// The same as it is shown, line by line.
const SHOWN: [&str; 6] = [
    "beforex",
    "C1",
    "^H^G^@^?\u{fffd}\u{fffd}\u{fffd}(\u{fffd}\u{fffd}\u{fffd}",
    "100%",
    "",
    "no end",
];

/// A project whose one step prints these bytes.
fn printing(bytes: &[u8]) -> Sandbox {
    let text = "FROM busybox\nRUN --mount=type=bind,target=/context cat /context/bytes\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.write("bytes", bytes);
    sandbox
}

/// The very bytes that a command prints.
fn stdout<const N: usize>(sandbox: &Sandbox, args: [&str; N]) -> Vec<u8> {
    let output = sandbox.command(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn f12_a_log_has_every_byte_and_nothing_else() {
    let every: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    for bytes in [HOSTILE, &every, b"\n", b"\r", b"\xff"] {
        let sandbox = printing(bytes);
        sandbox.gantry(["build", "--progress=quiet", "."]).success();
        let logged = stdout(&sandbox, ["builds", "logs", "^0", "RUN"]);
        assert!(logged == bytes, "{} instead of {} bytes", logged.len(), bytes.len());
    }
}

#[test]
fn c6_what_a_hostile_step_prints_is_shown_without_its_sequences() {
    let sandbox = printing(HOSTILE);
    let told = sandbox.gantry(["build", "--progress=plain", "."]).success().stderr;
    let (_, step) = told.split_once("RUN --mount").unwrap();
    for line in SHOWN {
        assert!(step.lines().any(|shown| shown.ends_with(line)), "{line:?} in {told:?}");
    }
    let is_harmless = |c: char| c == '\n' || c == '\t' || !c.is_control();
    assert!(told.chars().all(is_harmless), "{told:?}");
    for progress in ["--progress=steps", "--progress=rawjson"] {
        let run = sandbox.gantry(["build", "--no-cache", progress, "."]).success();
        let told = run.stdout + &run.stderr;
        assert!(told.chars().all(is_harmless), "{progress}: {told:?}");
    }
    // The whole build has prefixes, and a file may be looked at as well.
    let all = sandbox.gantry(["builds", "logs"]).success().stdout;
    assert!(all.chars().all(is_harmless) && all.contains("100%\n"), "{all:?}");
    let timed = sandbox.gantry(["builds", "logs", "-t", "^0", "RUN"]).success().stdout;
    let lines: Vec<&str> = timed.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(lines, SHOWN);
}

#[test]
fn c6_a_terminal_gets_no_sequence_of_a_step() {
    let sandbox = printing(HOSTILE);
    // Of a step that fails, what it printed last is shown for certain.
    let text = "FROM busybox\nRUN --mount=type=bind,target=/context cat /context/bytes; exit 1\n";
    sandbox.write("Dockerfile", text);
    let Some(built) = in_terminal(&sandbox, "build .", "") else { return };
    assert_eq!(built.status.code(), Some(1));
    let told = String::from_utf8_lossy(&built.stdout).into_owned();
    assert!(told.contains("beforex"), "{told:?}");
    for sequence in ["owned", "evil", "\x1b[2J", "\x1b[6n", "\u{9b}", "\x07", "\x08"] {
        assert!(!told.contains(sequence), "{sequence:?} in {told:?}");
    }
    let logged = in_terminal(&sandbox, "builds logs ^0 RUN", "").unwrap();
    let told = String::from_utf8_lossy(&logged.stdout).into_owned();
    let lines: Vec<&str> = told.lines().filter(|line| !line.starts_with("Script")).collect();
    assert_eq!(lines, SHOWN);
    // What is not shown is there nevertheless.
    assert_eq!(stdout(&sandbox, ["builds", "logs", "^0", "RUN"]), HOSTILE);
}

/// An error comes after what was printed before it, however quickly it follows.
#[test]
fn f12_errors_come_after_what_was_printed_before() {
    let text = "FROM busybox\nRUN for i in 1 2 3; do seq 1 2000; done; echo error >&2; exit 3\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "--progress=quiet", "."]).code(1);
    let numbers: String = (1..=2000).map(|n| format!("{n}\n")).collect();
    let logged = stdout(&sandbox, ["builds", "logs", "^0", "RUN"]);
    assert_eq!(String::from_utf8(logged).unwrap(), numbers.repeat(3) + "error\n");
}
