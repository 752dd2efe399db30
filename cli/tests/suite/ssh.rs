//! `--ssh` as typed, and what steps may do that could harm the host: `--allow`.

use std::os::unix::net::UnixListener;

use crate::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::with([
        (
            "Dockerfile",
            "FROM busybox\nRUN --mount=type=ssh,required test -S $SSH_AUTH_SOCK && echo socket there\n",
        ),
        ("file", "no key"),
    ])
    .with_busybox()
}

/// C1-16.
#[test]
fn an_agent_is_named_by_the_environment_or_by_its_socket() {
    let sandbox = sandbox();
    let shown = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(shown.contains("unset ssh forward key default"), "{shown}");
    let shown = sandbox.gantry(["build", "--ssh", "default", "."]).code(1).stderr;
    let empty = "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set";
    assert!(shown.contains(empty), "{shown}");
    let _agent = UnixListener::bind(sandbox.project().join("agent")).unwrap();
    let shown = sandbox.gantry(["build", "--ssh", "default=agent", "."]).success().stderr;
    assert!(shown.contains("socket there"), "{shown}");
    for (flags, message) in [
        (["--ssh", "a=agent,file"], "only single socket allowed"),
        (["--ssh", "a=file,agent"], "invalid combination of keys and sockets"),
        (["--ssh", "a=missing"], "No such file"),
    ] {
        let [flag, value] = flags;
        let shown = sandbox.gantry(["build", flag, value, "."]).code(1).stderr;
        assert!(shown.contains(message), "{value}: {shown}");
    }
    let twice = sandbox.gantry(["build", "--ssh=agent=agent", "--ssh=agent=agent", "."]);
    let shown = twice.code(1).stderr;
    assert!(shown.contains("invalid duplicate ID agent"), "{shown}");
}

#[test]
fn a_file_that_is_no_key_is_told() {
    let sandbox = sandbox();
    let shown = sandbox.gantry(["build", "--ssh", "default=file", "."]).code(1).stderr;
    let told = shown.contains("Failed to give the key `file` to an SSH agent")
        || shown.contains("which is not installed");
    assert!(told, "{shown}");
}

/// B5-16, B5-17, C1-26.
#[test]
fn what_could_harm_the_host_has_to_be_allowed() {
    let sandbox = Sandbox::new().with_busybox();
    for (flag, entitlement) in
        [("--network=host", "network.host"), ("--security=insecure", "security.insecure")]
    {
        sandbox.write("Dockerfile", format!("FROM busybox\nRUN {flag} echo did it\n"));
        let shown = sandbox.gantry(["build", "."]).code(1).stderr;
        let message = format!("entitlement {entitlement} is not allowed");
        assert!(shown.contains(&message), "{shown}");
        assert!(shown.contains(&format!("--allow {entitlement}")), "{shown}");
        assert!(shown.contains("Dockerfile:2"), "{shown}");
        let shown = sandbox.gantry(["build", "--allow", entitlement, "."]).success().stderr;
        assert!(shown.contains("did it"), "{shown}");
    }
    sandbox.write("Dockerfile", "FROM busybox\nRUN --network=x true\n");
    let shown = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(shown.contains("invalid network mode"), "{shown}");
    sandbox.write("Dockerfile", "FROM busybox\nRUN --security=x true\n");
    let shown = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(shown.contains("security \"x\" is not valid"), "{shown}");
    sandbox.write("Dockerfile", "FROM busybox\nRUN true\n");
    let shown = sandbox.gantry(["build", "--allow", "nonsense", "."]).code(1).stderr;
    assert!(shown.contains("unknown entitlement nonsense"), "{shown}");
    let shown = sandbox.gantry(["build", "--allow", "device=x", "."]).code(1).stderr;
    assert!(shown.contains("entitlement device is not supported"), "{shown}");
}
