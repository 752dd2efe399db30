//! Steps that behave badly: they are held in their place, and what they printed is harmless.

use super::{build_refused, built, clean, project};

#[test]
fn what_a_step_leaves_running_ends_with_it() {
    // The number is one that no other test sleeps for.
    let sandbox = project(
        "FROM busybox\nRUN (sleep 7654 &); nohup setsid sleep 7654 >/dev/null 2>&1 & true\n",
    );
    built(&sandbox);
    let running = || {
        let processes = fs_err::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| fs_err::read(process.path().join("cmdline")).ok())
            .filter(|words| words == b"sleep\x007654\0")
            .count()
    };
    assert!(super::soon(|| running() == 0), "it still runs");
    clean(&sandbox);
}

#[test]
fn fifty_megabytes_of_output_are_shown_and_kept() {
    let sandbox = project(
        "FROM busybox\nRUN yes 0123456789012345678901234567890123456789012345678 | head -n 1000000; echo last; exit 3\n",
    );
    let printed = build_refused(&sandbox, &["exit code: 3"]);
    assert!(printed.stderr.contains(" last\n"), "the end is there");
    // What is repeated below the error is a tail.
    let tail = printed.stderr.split("\n------\n").nth(1).unwrap();
    assert!(tail.len() < 100_000 && tail.contains(" last"), "{} bytes", tail.len());
}

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let script =
        r"printf '\033[2J\033]0;title\007red\033[31m\r\n\302\2331mwide\n\010\010back\n'; exit 1";
    let sandbox = project(format!("FROM busybox\nRUN {script}\n"));
    let printed = build_refused(&sandbox, &["exit code: 1"]);
    let bad: Vec<char> = printed
        .stderr
        .chars()
        .filter(|char| char.is_control() && !matches!(char, '\n' | '\t'))
        .collect();
    assert!(bad.is_empty(), "{bad:?} in\n{:?}", printed.stderr);
}

#[test]
fn deleting_everything_deletes_the_images_files_alone() {
    let sandbox = project("FROM busybox\nRUN rm -rf / 2>/dev/null; true\n");
    sandbox.write("kept", "kept");
    built(&sandbox);
    clean(&sandbox);
    assert_eq!(sandbox.read("kept"), b"kept");
    // The base is as it was.
    let run = sandbox.gantry(["run", "--rm", "--network", "none", "busybox", "ls", "/etc/passwd"]);
    assert_eq!(run.success().stdout, "/etc/passwd\n");
    let error = sandbox.gantry(["run", "--rm", "--network", "none", "good", "ls"]).code(127).stderr;
    assert!(error.contains("ls"), "{error}");
}

#[test]
fn an_image_without_passwd_runs_as_numbers_only() {
    let base = "FROM busybox\nRUN rm /etc/passwd /etc/group\nRUN id -u > /id\n";
    let sandbox = project(format!("{base}USER 12:34\nRUN id -u\n"));
    built(&sandbox);
    sandbox.write("Dockerfile", format!("{base}USER nobody\nRUN true\n"));
    build_refused(&sandbox, &["unable to find user nobody: no matching entries in passwd file"]);
    // Neither is a passwd file that leads out of the image read.
    let sandbox =
        project("FROM busybox\nRUN ln -sf /proc/self/environ /etc/passwd\nUSER x\nRUN true\n");
    build_refused(&sandbox, &["unable to find user x"]);
}

#[test]
fn a_step_that_a_signal_ends_fails() {
    // The first process of a namespace is deaf to its own signals, so it is a child that dies.
    let sandbox = project("FROM busybox\nRUN sh -c 'kill -9 $$'; exit $?\n");
    build_refused(&sandbox, &["exit code: 137"]);
    let segfault = project("FROM busybox\nRUN sh -c 'kill -SEGV $$'; exit $?\n");
    build_refused(&segfault, &["exit code: 139"]);
}
