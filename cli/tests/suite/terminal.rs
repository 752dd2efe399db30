//! In a terminal, which `script` makes: the live tree, `run -it`, refusals.

use std::process::{Command, Output, Stdio};

use crate::sandbox::Sandbox;

/// Runs a gantry command line in a terminal of its own; `None` where there is no `script`.
fn in_terminal(sandbox: &Sandbox, line: &str, input: &str) -> Option<Output> {
    let gantry = sandbox.command([]);
    let program = gantry.get_program().to_str()?.to_owned();
    let mut command = Command::new("script");
    command
        .args(["-qec", &format!("{program} {line}"), "/dev/null"])
        .current_dir(sandbox.project())
        .env_clear()
        .envs(gantry.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            assert!(!crate::sandbox::required("script"), "`script` is required");
            crate::eprintln_skip("there is no `script`");
            return None;
        }
        Err(err) => panic!("{err}"),
    };
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
    // Kept open until the end: closing it is an end of file in the terminal.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    Some(output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

#[test]
fn a_build_is_shown_as_a_tree() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM busybox\nRUN sleep 0.3\n")]).with_busybox();
    let Some(output) = in_terminal(&sandbox, "build .", "") else { return };
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let last = shown.rsplit("\x1b[J").next().unwrap();
    assert!(last.contains("[+] Building "), "{shown}");
    assert!(last.contains(" FINISHED\n"), "{shown}");
    assert!(last.contains(" => [2/2] RUN sleep 0.3"), "{shown}");
    assert!(shown.matches("[+] Building").count() > 2, "it was redrawn: {shown}");
}

#[test]
fn a_container_with_a_terminal_has_one() {
    let sandbox = Sandbox::new().with_busybox();
    let line =
        "run -it --rm busybox sh -c 'test -t 0 && test -t 1 && read x && echo got-$x; exit 3'";
    let Some(output) = in_terminal(&sandbox, line, "typed\n") else { return };
    let shown = text(&output);
    assert!(shown.contains("got-typed"), "{shown}");
    assert_eq!(output.status.code(), Some(3), "{shown}");
}

#[test]
fn images_are_not_poured_into_a_terminal() {
    let sandbox = Sandbox::new().with_busybox();
    let Some(output) = in_terminal(&sandbox, "save busybox", "") else { return };
    assert!(text(&output).contains("cowardly refusing to save to a terminal"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_terminal_needs_one_to_read_from() {
    let sandbox = Sandbox::new().with_busybox();
    let run = sandbox.gantry_with_input(["run", "-it", "--rm", "busybox", "true"], b"");
    assert_eq!(
        run.code(125).stderr,
        "ERROR: cannot attach stdin to a TTY-enabled container because stdin is not a terminal\n"
    );
}
