//! In a terminal, which `script` makes: the live tree, `run -it`, refusals.

use std::process::{Command, Output, Stdio};

use crate::sandbox::Sandbox;

/// Runs a gantry command line in a terminal of its own, 120 characters wide; `None` where there is no `script`.
pub(crate) fn in_terminal(sandbox: &Sandbox, line: &str, input: &str) -> Option<Output> {
    let gantry = sandbox.command([]);
    let program = gantry.get_program().to_str()?.to_owned();
    let mut command = Command::new("script");
    command
        .args(["-qec", &format!("stty cols 120 rows 40; {program} {line}"), "/dev/null"])
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

/// What a person sees and types at the other end of a terminal.
struct Screen {
    keyboard: fs_err::File,
    seen: std::sync::mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl Screen {
    /// Waits until this shows, and forgets it and what was before it.
    #[track_caller]
    fn wait_for(&mut self, wanted: &str) -> String {
        loop {
            if let Some((before, after)) = self.text.split_once(wanted) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return before;
            }
            let more = self.seen.recv_timeout(std::time::Duration::from_secs(20));
            let more = more.unwrap_or_else(|_| panic!("no {wanted:?} after {:?}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn enter(&mut self, line: &str) {
        std::io::Write::write_all(&mut self.keyboard, format!("{line}\n").as_bytes()).unwrap();
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.keyboard, size).unwrap();
    }
}

/// A command that has a terminal for itself; `None` where there is no `setsid`.
fn at_a_screen(sandbox: &Sandbox, words: &[&str]) -> Option<(std::process::Child, Screen)> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let open = || {
        let mut options = fs_err::OpenOptions::new();
        Stdio::from(options.read(true).write(true).open(&name).unwrap().into_file())
    };
    let keyboard = fs_err::File::from_parts(std::fs::File::from(master), "terminal");
    let mut screen = keyboard.try_clone().unwrap();
    let (send, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // When the last process has left the terminal, that is an error.
        while let Ok(count @ 1..) = std::io::Read::read(&mut screen, &mut buffer) {
            if send.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let screen = Screen { keyboard, seen, text: String::new() };
    screen.resize(30, 100);
    let gantry = sandbox.command([]);
    let mut command = sandbox.other(std::path::Path::new("setsid"), &["--ctty", "--wait"]);
    command.arg(gantry.get_program()).args(words).env("TERM", "xterm");
    let child = command.stdin(open()).stdout(open()).stderr(open()).spawn();
    match child {
        Ok(child) => Some((child, screen)),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            assert!(!crate::sandbox::required("script"), "`setsid` is required");
            crate::eprintln_skip("there is no `setsid`");
            None
        }
        Err(err) => panic!("{err}"),
    }
}

/// A prompt, a terminal on both ends, its size from the start and after it changed, the exit code.
#[test]
fn a1_01_a_shell_in_a_terminal() {
    let sandbox = Sandbox::new().with_busybox();
    let run = ["run", "-it", "--rm", "--network", "none", "busybox", "sh"];
    let Some((mut child, mut screen)) = at_a_screen(&sandbox, &run) else { return };
    screen.wait_for("/ # ");
    // The shell echoes what it is told, so the answer must be something else.
    screen.enter("test -t 0 && test -t 1 && echo $((40 + 2)) both");
    screen.wait_for("42 both");
    screen.enter("stty size; echo $((1 + 1))nd");
    assert!(screen.wait_for("2nd").contains("30 100"), "{}", screen.text);
    screen.resize(51, 133);
    // The news takes a moment to get there.
    screen.enter("until test \"$(stty size)\" = '51 133'; do :; done; echo $((50 + 1))st");
    screen.wait_for("51st");
    screen.enter("exit 3");
    assert_eq!(child.wait().unwrap().code(), Some(3), "{}", screen.text);
}

/// Docker's prompts; the password is read and not shown.
#[test]
fn a5_23_a_login_by_hand() {
    let Some(server) = crate::registry::server::Server::with_password() else { return };
    let sandbox = Sandbox::new();
    let words = ["login", &server.host];
    let Some((mut child, mut screen)) = at_a_screen(&sandbox, &words) else { return };
    screen.wait_for("Username: ");
    screen.enter("user");
    screen.wait_for("Password: ");
    screen.enter("secret");
    let shown = screen.wait_for("Login Succeeded");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("WARNING! Your credentials are stored unencrypted in"), "{shown}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let kept = String::from_utf8(sandbox.read("../home/.docker/config.json")).unwrap();
    assert!(kept.contains("dXNlcjpzZWNyZXQ="), "{kept}");
}

#[test]
fn images_are_not_poured_into_a_terminal() {
    let sandbox = Sandbox::new().with_busybox();
    let Some(output) = in_terminal(&sandbox, "save busybox", "") else { return };
    assert!(text(&output).contains("cowardly refusing to save to a terminal"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn c4_06_nor_are_the_outputs_of_builds() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    for (output, what) in
        [("-", "tar"), ("type=tar", "tar"), ("type=oci", "oci"), ("type=docker,dest=-", "docker")]
    {
        let Some(output) = in_terminal(&sandbox, &format!("build -o {output} ."), "") else {
            return;
        };
        let wanted = format!(
            "ERROR: dest file is required for {what} exporter. refusing to write to console\n"
        );
        assert_eq!(text(&output).lines().next(), wanted.lines().next());
        assert_eq!(output.status.code(), Some(1));
    }
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
