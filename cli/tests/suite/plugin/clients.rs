//! What people type: `docker build` and its relatives.

use std::io::{BufRead as _, BufReader};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{clients, docker, installed, version};
use crate::sandbox::Sandbox;

/// Ten projects, each with what `docker build` is told besides the context.
const FIXTURES: [(&str, &str, &[&str]); 10] = [
    ("copy", "FROM scratch\nCOPY . /src\n", &["build"]),
    ("run", "FROM busybox\nRUN echo built > /made\n", &["build"]),
    (
        "stages",
        "FROM busybox AS a\nRUN echo x > /x\nFROM scratch\nCOPY --from=a /x /\n",
        &["build"],
    ),
    ("args", "FROM busybox\nARG V=1\nRUN echo $V > /v\n", &["build", "--build-arg", "V=2"]),
    ("target", "FROM scratch AS a\nCOPY one /\nFROM nothere\n", &["build", "--target", "a"]),
    ("labels", "FROM scratch\nLABEL a=b\n", &["build", "--label", "c=d"]),
    ("heredoc", "FROM busybox\nRUN <<E\nset -e\necho in > /here\nE\n", &["buildx", "build"]),
    (
        "mounts",
        "FROM busybox\nRUN --mount=type=bind,target=/c cat /c/one > /o\n",
        &["image", "build"],
    ),
    ("config", "FROM scratch\nENV A=b\nUSER 1\nWORKDIR /w\nCMD [\"x\"]\n", &["builder", "build"]),
    (
        "quoted",
        "FROM busybox\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN \"echo\" q > /q\n",
        &["-D", "build"],
    ),
];

#[test]
fn the_docker_client_builds_ten_projects_without_an_engine() {
    for client in clients() {
        let sandbox = installed(Sandbox::new().at_time(1).with_busybox());
        for (name, dockerfile, words) in FIXTURES {
            sandbox.write(&format!("{name}/Dockerfile"), dockerfile);
            sandbox.write(&format!("{name}/one"), "1");
            let (command, flags) =
                words.split_at(words.iter().position(|w| *w == "build").unwrap() + 1);
            let words = [command, &["-q", "-t", name], flags, &[name]].concat();
            let built = docker(&sandbox, client, &words).success();
            // The same as without docker, under its name in gantry's store.
            let direct = [&["build", "-q"], flags, &[name]].concat();
            assert_eq!(built.stdout, sandbox.gantry_words(&direct).success().stdout, "{name}");
            let stored = sandbox.gantry(["images", "-q", "--no-trunc", name]).success().stdout;
            assert_eq!(built.stdout, stored, "{name}");
        }
    }
}

#[test]
fn progress_files_and_outputs_are_as_without_docker() {
    for client in clients() {
        let text = "FROM busybox\nRUN echo from the step; echo x > /x\n";
        let sandbox = installed(Sandbox::with([("Dockerfile", text)]).with_busybox());
        let plain = ["build", "--progress=plain", "--iidfile", "id", "."];
        let built = docker(&sandbox, client, &plain).success();
        assert!(built.stderr.contains(" from the step\n"), "{}", built.stderr);
        assert!(sandbox.read("id").starts_with(b"sha256:"));
        docker(&sandbox, client, &["buildx", "build", "-o", "out", "."]).success();
        assert_eq!(sandbox.read("out/x"), b"x\n");
        // From stdin, as every guide has it.
        let mut command = sandbox.other(client, &["build", "-q", "-"]);
        command.stdin(
            fs_err::File::open(sandbox.project().join("Dockerfile")).unwrap().into_parts().0,
        );
        assert!(sandbox.run(&mut command).success().stdout.starts_with("sha256:"));
    }
}

#[test]
fn exit_codes_and_errors_reach_the_caller() {
    for client in clients() {
        let sandbox = installed(Sandbox::with([
            ("fails/Dockerfile", "FROM busybox\nRUN exit 7\n"),
            ("broken/Dockerfile", "FROM scratch\nBOGUS\n"),
            ("empty/x", ""),
        ]))
        .with_busybox();
        for (words, error) in [
            (&["build", "fails"][..], "did not complete successfully: exit code: 7"),
            (&["build", "broken"], "unknown instruction: BOGUS"),
            (&["build", "empty"], "failed to read dockerfile"),
            (&["build", "nowhere"], "path \"nowhere\" not found"),
            (&["buildx", "build", "--progress=sideways", "empty"], "sideways"),
            (&["buildx", "dial-stdio"], "gantry does not offer `docker buildx dial-stdio`"),
        ] {
            let said = docker(&sandbox, client, words).code(1).stderr;
            assert!(said.contains(error), "{words:?}: {said}");
        }
        let words = ["build", "--propagate-exit-code", "fails"];
        docker(&sandbox, client, &words).code(7);
    }
}

#[test]
fn dockerfiles_are_checked() {
    for client in clients() {
        let sandbox = installed(Sandbox::with([
            ("good/Dockerfile", "FROM scratch\n"),
            ("bad/Dockerfile", "from scratch\nMAINTAINER x\n"),
        ]));
        let good = docker(&sandbox, client, &["build", "--check", "good"]).success();
        assert_eq!(good.stdout, "Check complete, no warnings found.\n");
        let bad = docker(&sandbox, client, &["build", "--check", "bad"]).code(1);
        assert!(bad.stdout.contains("MaintainerDeprecated"), "{}", bad.stdout);
        let targets = ["buildx", "build", "--call=targets", "good"];
        assert!(docker(&sandbox, client, &targets).success().stdout.starts_with("TARGET"));
    }
}

#[test]
fn the_builder_can_be_looked_at_and_cleaned() {
    for client in clients() {
        let text = "FROM busybox\nRUN echo x > /x\n";
        let sandbox = installed(Sandbox::with([("Dockerfile", text)]).with_busybox());
        docker(&sandbox, client, &["build", "-q", "."]).success();
        let say = |words: &[&str]| docker(&sandbox, client, words).success().stdout;
        let version = concat!(" v", env!("CARGO_PKG_VERSION"));
        assert!(say(&["buildx", "version"]).contains(version));
        assert!(say(&["buildx", "ls"]).contains("default*"));
        assert!(say(&["buildx", "inspect", "--bootstrap"]).contains("Status:    running"));
        assert!(say(&["buildx", "du"]).contains("Total:"));
        assert!(say(&["builder", "prune", "-f"]).contains("Total:"));
        assert!(say(&["buildx", "prune", "-af"]).contains("Total:"));
        // What pipelines do before they build.
        assert_eq!(say(&["buildx", "create", "--use", "--name", "mine"]), "mine\n");
        let other = ["buildx", "create", "--driver=remote", "tcp://x:1"];
        docker(&sandbox, client, &other).code(1);
        let info = docker(&sandbox, client, &["info"]);
        assert!(info.to_string().contains("gantry"), "{info}");
    }
}

/// Starts a build that waits, in a process group of its own.
fn waiting(sandbox: &Sandbox, command: &mut Command) -> Child {
    let text = "FROM busybox\nRUN echo running; sleep 1000\n";
    sandbox.write("Dockerfile", text);
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(" running\n") && lines.read_line(&mut line).unwrap() > 0 {}
    assert!(line.contains(" running\n"), "{line}");
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    child
}

#[test]
fn ctrl_c_ends_the_build() {
    for client in clients() {
        let sandbox = installed(Sandbox::new().with_busybox());
        let words = ["build", "--progress=plain", "."];
        // As a terminal sends it, to all at once; and to the client alone, which tells newer
        // plugins by a socket.
        let alone = version(client).is_some_and(|version| version >= 25);
        for target in ["-", ""].iter().take(1 + usize::from(alone)) {
            let mut child = waiting(&sandbox, &mut sandbox.other(client, &words));
            let target = format!("{target}{}", child.id());
            let kill = Command::new("kill").args(["-INT", "--", &target]).status().unwrap();
            assert!(kill.success());
            assert_eq!(child.wait().unwrap().code(), Some(130), "{target}");
        }
        // The sandbox sees to it that no process and no mount is left.
    }
}

#[test]
fn the_build_ends_with_its_client() {
    let sandbox = Sandbox::new().with_busybox();
    let gantry = fs_err::canonicalize(sandbox.command([]).get_program()).unwrap();
    let plugin = sandbox.project().with_file_name("docker-buildx");
    fs_err::os::unix::fs::symlink(gantry, &plugin).unwrap();
    let path: PathBuf = sandbox.project().with_file_name("client.sock");
    let name = format!("gantry-test-{}", std::process::id());
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    for (listener, address) in [
        (UnixListener::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixListener::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
    ] {
        let mut command = sandbox.other(&plugin, &["buildx", "build", "--progress=plain", "."]);
        command.env("DOCKER_CLI_PLUGIN_SOCKET", &address);
        let mut child = waiting(&sandbox, &mut command);
        let (connection, _) = listener.accept().unwrap();
        drop(connection);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{address}");
    }
    // A socket that isn't there is no reason not to build.
    sandbox.write("Dockerfile", "FROM busybox\nRUN true\n");
    let mut command = sandbox.other(&plugin, &["buildx", "build", "-q", "."]);
    command.env("DOCKER_CLI_PLUGIN_SOCKET", "/nowhere");
    sandbox.run(&mut command).success();
}
