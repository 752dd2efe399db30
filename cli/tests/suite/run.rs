//! Containers in the foreground: exit codes, streams, flags.

use crate::sandbox::{Sandbox, snapshot};

fn busybox() -> Sandbox {
    Sandbox::new().with_busybox()
}

#[test]
fn exit_codes_are_the_processes_own_but_for_three() {
    let sandbox = busybox();
    let code = |words: &[&str], code: i32| {
        let mut command = sandbox.command(["run", "--rm"]);
        let output = command.args(words).stdin(std::process::Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?} {output:?}");
    };
    code(&["busybox", "true"], 0);
    code(&["busybox", "sh", "-c", "exit 3"], 3);
    code(&["busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137);
    code(&["busybox", "nosuchcommand"], 127);
    code(&["busybox", "/etc/passwd"], 126);
    code(&["nosuchimage"], 125);
    code(&["--bogus", "busybox"], 125);
    code(&[], 125);
}

#[test]
fn words_behind_the_image_are_the_commands() {
    let sandbox = busybox();
    let run = sandbox.gantry(["run", "--rm", "busybox", "echo", "-D", "--rm", "--help", "x"]);
    assert_eq!(run.success().stdout, "-D --rm --help x\n");
}

#[test]
fn streams_are_apart_and_input_is_passed_on() {
    let sandbox = busybox();
    snapshot!(sandbox.gantry(["run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo out; echo err >&2"]), @"
    exit: 0
    ----- stdout -----
    out
    ----- stderr -----
    err
    ");
    let run = sandbox.gantry_with_input(["run", "-i", "--rm", "busybox", "cat"], b"through\n");
    assert_eq!(run.success().stdout, "through\n");
    let run = sandbox.gantry_with_input(["run", "--rm", "busybox", "cat"], b"not asked for");
    assert_eq!(run.success().stdout, "");
}

#[test]
fn flags_are_wired() {
    let sandbox = busybox().env("OUTSIDE", "value");
    sandbox.write("dir/file", "bound\n");
    sandbox.write("vars", "# comment\nFILE=1\nOUTSIDE\n");
    let out = |args: &[&str], command: &str| {
        let mut gantry = sandbox.command(["run", "--rm"]);
        gantry.args(args).args(["busybox", "sh", "-c", command]);
        let output = gantry.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{args:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        out(&["-e", "A=1", "-e", "OUTSIDE", "-e", "NOT"], "echo $A $OUTSIDE ${NOT-unset}"),
        "1 value unset\n"
    );
    assert_eq!(out(&["--env-file", "vars"], "echo $FILE $OUTSIDE"), "1 value\n");
    assert_eq!(out(&["-w", "/made/here"], "pwd"), "/made/here\n");
    assert_eq!(out(&["-h", "name"], "hostname"), "name\n");
    assert_eq!(out(&["-v", "./dir:/d"], "cat /d/file"), "bound\n");
    assert_eq!(
        out(&["-v", "./dir:/d:ro"], "echo x > /d/file 2>/dev/null || echo refused"),
        "refused\n"
    );
    assert_eq!(out(&["--mount", "type=tmpfs,dst=/t"], "grep -c ' /t tmpfs' /proc/mounts"), "1\n");
    assert_eq!(out(&["--read-only"], "echo x 2>/dev/null > /x || echo refused"), "refused\n");
    assert_eq!(out(&["--network", "none"], "ls /sys/class/net 2>/dev/null || echo lo"), "lo\n");
    assert_eq!(
        out(&["--add-host", "there:10.1.2.3"], "grep there /etc/hosts | cut -f1"),
        "10.1.2.3\n"
    );
    assert_eq!(out(&["--ulimit", "nofile=99:99"], "ulimit -n"), "99\n");
    assert_eq!(out(&["--name", "mine", "--cidfile", "cid"], "true"), "");
    assert_eq!(sandbox.read("cid").len(), 64);
}

#[test]
fn entrypoint_and_command_are_replaced_separately() {
    let text = "FROM busybox\nENTRYPOINT [\"echo\", \"entry\"]\nCMD [\"cmd\"]\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "-t", "e", "."]).success();
    let out = |args: &[&str]| {
        let output = sandbox.command(["run", "--rm"]).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(out(&["e"]), "entry cmd\n");
    assert_eq!(out(&["e", "other"]), "entry other\n");
    assert_eq!(out(&["--entrypoint", "echo", "e"]), "\n");
    assert_eq!(out(&["--entrypoint", "", "e", "echo", "bare"]), "bare\n");
}

#[test]
fn what_is_not_there_yet_says_so() {
    let sandbox = busybox();
    snapshot!(sandbox.gantry(["run", "--rm", "-v", "name:/x", "busybox"]), @"
    exit: 125
    ----- stdout -----
    ----- stderr -----
    ERROR: volumes with a name such as `name` are not supported yet
    hint: For a directory here, write `-v ./name:/x`
    ");
    snapshot!(sandbox.gantry(["run", "--rm", "nosuch"]), @"
    exit: 125
    ----- stdout -----
    ----- stderr -----
    Unable to find image 'nosuch:latest' locally
    ERROR: `registries.conf` blocks `docker.io/library/nosuch`
    ");
}
