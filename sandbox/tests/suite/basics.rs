//! Running, failing, ending.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use gantry_sandbox::{Lower, RootfsSpec, Signal, SpawnError, Spec, Stdio, spawn};

use crate::support::{World, chmod, finish, run};

#[test]
fn a_command_is_pid_1_and_its_output_and_code_come_back() {
    let Some(world) = World::new() else { return };
    let ran = world.sh("echo $$; echo err >&2; exit 7");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("1\n", "err\n"));
    assert_eq!(ran.status.shell_code(), 7);
}

/// What has to work everywhere, for tests that are started again by others.
pub(crate) fn smoke() {
    a_command_is_pid_1_and_its_output_and_code_come_back();
    programs_that_cannot_run_are_told_apart();
    a_read_only_root_cannot_be_written();
}

#[test]
fn a_signal_that_ends_it_is_128_and_its_number() {
    let Some(world) = World::new() else { return };
    // The kernel keeps signals without handlers from PID 1, so this needs one from outside.
    let child = spawn(world.spec(["sleep", "100"])).unwrap();
    child.kill(Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(child.try_wait(), None, "PID 1 has no default action for SIGTERM");
    child.kill(Signal::KILL).unwrap();
    let status = child.wait();
    assert_eq!((status.signal, status.shell_code()), (Some(9), 137));
    assert!(child.kill(Signal::KILL).is_err());
}

#[test]
fn what_pid_1_started_ends_with_it() {
    let Some(world) = World::new() else { return };
    let ran = world.sh("sleep 1000 & sleep 1000 & exit 3");
    // Reading to the end would hang if one of them still had the pipe.
    assert_eq!(ran.status.shell_code(), 3);
}

#[test]
fn dropping_a_child_ends_it() {
    let Some(world) = World::new() else { return };
    let child = spawn(world.spec(["sleep", "100"])).unwrap();
    let pid = child.pid();
    let begun = Instant::now();
    drop(child);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn input_is_a_pipe_or_nothing() {
    let Some(world) = World::new() else { return };
    assert_eq!(world.sh("cat; readlink /proc/self/fd/0").ok(), "/dev/null\n");
    let mut spec = world.spec(["cat"]);
    spec.stdio = Stdio::Piped { stdin: true };
    let mut child = spawn(spec).unwrap();
    child.take_stdin().unwrap().write_all(b"hello").unwrap();
    let mut text = String::new();
    child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert!(child.wait().success());
}

#[test]
fn programs_that_cannot_run_are_told_apart() {
    let Some(world) = World::new() else { return };
    let base = world.base();
    fs_err::write(base.join("plain"), "text").unwrap();
    fs_err::write(base.join("garbage"), "text").unwrap();
    chmod(&base.join("garbage"), 0o755);
    fs_err::write(base.join("script"), "#!/no/such\n").unwrap();
    chmod(&base.join("script"), 0o755);
    let error = |argv: &str| run(world.spec([argv])).unwrap_err();
    let check = |argv: &str, code: i32, text: &str| {
        let error = error(argv);
        assert_eq!((error.exit_code(), error.to_string().as_str()), (code, text));
    };
    check("nothing", 127, "exec: \"nothing\": executable file not found in $PATH");
    check("/nothing", 127, "exec: \"/nothing\": stat: no such file or directory");
    check("", 127, "exec: \"\": executable file not found in $PATH");
    check("/plain", 126, "exec: \"/plain\": cannot be executed");
    check("/tmp", 126, "exec: \"/tmp\": cannot be executed");
    check("/garbage", 126, "exec: \"/garbage\": cannot be executed");
    check(
        "/script",
        127,
        "exec: \"/script\": the interpreter or loader that it names is not there",
    );
    assert!(matches!(run(Spec::new(world.rootfs(), [""; 0])).unwrap_err(), SpawnError::NoCommand));
    assert_eq!(world.layer(), [""; 0], "a failure leaves nothing behind");
}

#[test]
fn gantry_itself_cannot_be_run_from_inside() {
    let Some(world) = World::new() else { return };
    let base = world.base();
    for (name, text) in [("script", "#!/proc/self/exe\n"), ("twice", "#!  /script -x\n")] {
        fs_err::write(base.join(name), text).unwrap();
        chmod(&base.join(name), 0o755);
    }
    symlink("/proc/self/exe", base.join("link")).unwrap();
    symlink("/proc/self/exe", base.join("bin/in-path")).unwrap();
    for program in ["/proc/self/exe", "/proc/1/exe", "/link", "/script", "/twice", "in-path"] {
        let error = run(world.spec([program])).unwrap_err();
        assert!(matches!(error, SpawnError::OutsideRoot { .. }), "{program}: {error:?}");
        assert_eq!(error.exit_code(), 126);
    }
}

#[test]
fn a_working_directory_is_made_and_never_outside() {
    let Some(world) = World::new() else { return };
    let mut spec = world.spec(["pwd"]);
    spec.cwd = "/a/b".to_owned();
    assert_eq!(run(spec).unwrap().ok(), "/a/b\n");
    assert_eq!(world.layer(), ["a", "a/b"]);

    symlink("/proc/self/fd", world.base().join("fds")).unwrap();
    for cwd in ["/proc/self/fd/3", "/proc/self/fd/7", "/fds/8", "/proc/self/root", "/proc/1/cwd"] {
        let mut spec = world.spec(["pwd"]);
        spec.cwd = cwd.to_owned();
        let error = run(spec).unwrap_err();
        assert!(matches!(error, SpawnError::Cwd { .. }), "{cwd}: {error:?}");
    }
    let mut spec = world.spec(["pwd"]);
    spec.cwd = "/bin/busybox".to_owned();
    let error = run(spec).unwrap_err();
    assert!(matches!(error, SpawnError::MountTarget { .. } | SpawnError::Cwd { .. }), "{error:?}");
}

#[test]
fn the_environment_is_what_was_given() {
    let Some(world) = World::new() else { return };
    let mut spec = world.spec(["env"]);
    spec.env.push("A=b c".into());
    assert_eq!(run(spec).unwrap().ok(), "PATH=/bin\nA=b c\nHOME=/root\n");
}

#[test]
fn a_plain_directory_and_a_scratch_root_work() {
    let Some(world) = World::new() else { return };
    let base = world.base();
    let mut spec = Spec::new(RootfsSpec::plain(&base), ["/bin/sh", "-c", "echo hi > /file"]);
    spec.env = vec!["PATH=/bin".into()];
    run(spec).unwrap().ok();
    assert_eq!(fs_err::read_to_string(base.join("file")).unwrap(), "hi\n");
    // No layer at all below: the upper directory is the root.
    let spec = Spec::new(RootfsSpec { lowers: vec![], ..world.rootfs() }, ["/bin/true"]);
    assert!(matches!(run(spec).unwrap_err(), SpawnError::NotFound { .. }));
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn many_layers_and_long_paths_can_be_mounted() {
    let Some(world) = World::new() else { return };
    let long = world.path(&format!("{}/{}", "x".repeat(200), "y".repeat(200)));
    fs_err::create_dir_all(&long).unwrap();
    let mut rootfs = world.rootfs();
    for number in 0..498 {
        let layer = long.join(format!("{number}:,\\"));
        fs_err::create_dir(&layer).unwrap();
        fs_err::write(layer.join("top"), number.to_string()).unwrap();
        rootfs.lowers.push(layer.into());
    }
    let mut spec = Spec::new(rootfs.clone(), ["cat", "/top"]);
    spec.env = vec!["PATH=/bin".into()];
    assert_eq!(run(spec).unwrap().ok(), "497", "the last layer is the topmost");
    rootfs.lowers.extend([world.base().into(), world.base().into()]);
    let error = run(Spec::new(rootfs, ["true"])).unwrap_err();
    assert!(matches!(error, SpawnError::TooDeep { layers: 501, limit: 500 }), "{error:?}");
}

#[test]
fn layers_that_were_not_unpacked_lie_among_the_others() {
    const TAR: &[u8] = include_bytes!("../../src/host/trial.tar");
    const INDEX: &[u8] = include_bytes!("../../src/host/trial.index");
    let Some(world) = World::new() else { return };
    if let Err(reason) = gantry_sandbox::probe().index(&world.path("")) {
        return crate::support::skip("index", &reason);
    }
    fs_err::write(world.base().join("gone"), "").unwrap();
    let mut rootfs = world.rootfs();
    for number in 0..100 {
        let layer = world.path(&format!("layer-{number}"));
        fs_err::create_dir(&layer).unwrap();
        let (tar, index) = (layer.join("tar"), layer.join("index"));
        fs_err::write(&tar, TAR).unwrap();
        fs_err::write(&index, INDEX).unwrap();
        rootfs.lowers.push(Lower::Index { tar, index });
    }
    let top = world.path("top");
    fs_err::create_dir(&top).unwrap();
    fs_err::write(top.join("top"), "tree").unwrap();
    rootfs.lowers.push(top.into());
    let before = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    // All of it is one file system to whoever looks, as it is with trees.
    let script = "cat /file /top; test -e /gone || echo hidden; echo more >> /file; rm -r /hidden; \
                  test $(stat -c %d /file) = $(stat -c %d /) && echo one";
    let mut spec = Spec::new(rootfs, ["sh", "-c", script]);
    spec.env = vec!["PATH=/bin".into()];
    assert_eq!(run(spec).unwrap().ok(), "works\ntreehidden\none\n");
    assert_eq!(world.layer(), ["file", "hidden"]);
    assert_eq!(fs_err::read_to_string(world.upper().join("file")).unwrap(), "works\nmore\n");
    assert_eq!(fs_err::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

#[test]
fn a_read_only_root_cannot_be_written() {
    let Some(world) = World::new() else { return };
    let mut spec = world.spec(["sh", "-c", "touch /x || touch /dev/shm/x && echo no"]);
    spec.rootfs.read_only = true;
    assert_eq!(run(spec).unwrap().ok(), "no\n");
}

#[test]
fn many_at_once_do_not_disturb_each_other() {
    let Some(world) = World::new() else { return };
    std::thread::scope(|scope| {
        for number in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let name = |what: &str| world.path(&format!("{what}-{number}"));
                for what in ["upper", "work"] {
                    fs_err::create_dir(name(what)).unwrap();
                }
                let lowers = vec![world.base()];
                let rootfs =
                    RootfsSpec::overlay(lowers, name("upper"), name("work"), world.userxattr());
                let script = format!("echo {number} > /n; cat /n");
                let mut spec = Spec::new(rootfs, ["/bin/sh", "-c", &script]);
                spec.env = vec!["PATH=/bin".into()];
                assert_eq!(finish(spawn(spec).unwrap()).ok(), format!("{number}\n"));
            });
        }
    });
}
