//! The Dockerfiles of the usual tutorials: images, layers, names (A5). What they say of the cache
//! is in `steps.rs`, of CMD, ENTRYPOINT and ENV in `processes.rs`.

use crate::sandbox::Sandbox;

fn build(dockerfile: &str) -> Sandbox {
    let sandbox = Sandbox::with([("Dockerfile", dockerfile)]).with_busybox();
    sandbox.gantry(["build", "-t", "x", "."]).success();
    sandbox
}

fn layers(sandbox: &Sandbox, name: &str) -> usize {
    let count = sandbox.gantry(["inspect", "-f", "{{len .RootFS.Layers}}", name]);
    count.success().stdout.trim().parse().unwrap()
}

fn run(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.command(["run", "--rm", "x"]).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A5-02, A5-05.
#[test]
fn three_runs_are_three_layers() {
    let sandbox = build("# a comment first\nFROM busybox\nRUN true\nRUN touch /a\nRUN rm /a\n");
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox") + 3);
}

/// A5-04, A5-07, A5-13, A5-17.
#[test]
fn six_entries_of_history_are_four_layers() {
    let sandbox = build(
        "FROM busybox\nMAINTAINER Jo <jo@example.com>\nRUN touch /1\nRUN touch /2\nRUN touch /3\n\
         RUN touch /4\nCMD [\"echo\", \"Hello World\"]\n",
    );
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox") + 4);
    let history = sandbox.gantry(["history", "--format", "{{.CreatedBy}}", "--no-trunc", "x"]);
    let history = history.success().stdout;
    let lines: Vec<_> = history.lines().collect();
    assert_eq!(lines[0], "CMD [\"echo\" \"Hello World\"]");
    assert_eq!(lines[1], "RUN /bin/sh -c touch /4 # buildkit");
    assert_eq!(lines[5], "MAINTAINER Jo <jo@example.com>");
    assert_eq!(lines.len(), 7, "six and the base's one");
    let author = sandbox.gantry(["inspect", "-f", "{{.Author}}", "x"]).success().stdout;
    assert_eq!(author, "Jo <jo@example.com>\n");
    assert_eq!(run(&sandbox, &[]), "Hello World\n");
}

/// A5-19: what a later RUN removes is still in the image.
#[test]
fn one_layer_is_smaller_than_five() {
    let data = "dd if=/dev/zero of=/big bs=1024 count=512 2>/dev/null";
    let sandbox = build(&format!("FROM busybox\nRUN {data}\nRUN rm /big\n"));
    sandbox.gantry(["tag", "x", "five"]).success();
    sandbox.write("Dockerfile", format!("FROM busybox\nRUN {data} && rm /big\n"));
    sandbox.gantry(["build", "-t", "x", "."]).success();
    let size = |name: &str| -> u64 {
        let size = sandbox.gantry(["inspect", "-f", "{{.Size}}", name]).success().stdout;
        size.trim().parse().unwrap()
    };
    assert!(size("five") >= size("x") + 512 * 1024, "{} {}", size("five"), size("x"));
    assert_eq!(run(&sandbox, &["sh", "-c", "test -e /big || echo gone"]), "gone\n");
}

/// A5-18.
#[test]
fn expose_and_volume_are_metadata() {
    let sandbox = build("FROM busybox\nEXPOSE 80\nVOLUME /data\nENV A=b\n");
    let config = sandbox.gantry(["inspect", "-f", "{{json .Config}}", "x"]).success().stdout;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert_eq!(config["Volumes"], serde_json::json!({"/data": {}}));
}

/// A5-14.
#[test]
fn a_continuation_line_may_hold_only_the_backslash() {
    let sandbox =
        build("FROM busybox\nRUN echo a > /f && \\\n\\\n\techo b >> /f && \\\n\\\n\ttrue\n");
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox") + 1);
    assert_eq!(run(&sandbox, &["cat", "/f"]), "a\nb\n");
}

/// A5-08.
#[test]
fn a_name_that_moves_leaves_the_old_image_without_one() {
    let sandbox = build("FROM busybox\nRUN echo 1\n");
    sandbox.write("Dockerfile", "FROM busybox\nRUN echo 2\n");
    sandbox.gantry(["build", "-t", "x", "."]).success();
    let dangling = sandbox.gantry(["images", "-q", "-f", "dangling=true"]).success().stdout;
    assert_eq!(dangling.lines().count(), 1);
}

/// A5-01.
#[test]
fn a_dockerfile_has_its_name_or_any_other() {
    let sandbox = Sandbox::with([("dockerfile", "FROM scratch\nLABEL is=lower\n")]);
    let label = |flags: &[&str]| {
        let mut command = sandbox.command(["build", "-t", "x"]);
        assert!(command.args(flags).arg(".").output().unwrap().status.success());
        sandbox.gantry(["inspect", "-f", "{{.Config.Labels.is}}", "x"]).success().stdout
    };
    assert_eq!(label(&[]), "lower\n");
    sandbox.write("Dockerfile", "FROM scratch\nLABEL is=upper\n");
    assert_eq!(label(&[]), "upper\n");
    sandbox.write("sub/any.name", "FROM scratch\nLABEL is=other\n");
    assert_eq!(label(&["-f", "sub/any.name"]), "other\n");
}

/// A5-03.
#[test]
fn from_comes_first() {
    let sandbox = Sandbox::with([("Dockerfile", "RUN true\nFROM busybox\n")]).with_busybox();
    let error = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(error.contains("no build stage in current context"), "{error}");
    sandbox.write(
        "Dockerfile",
        "# syntax=docker/dockerfile:1\n# text\nARG BASE=busybox\nFROM $BASE\n",
    );
    sandbox.gantry(["build", "."]).success();
}

/// A5-04.
#[test]
fn a_maintainer_is_the_author_wherever_it_stands() {
    let text = "FROM busybox\nRUN true\nMAINTAINER one\nCMD [\"true\"]\nMAINTAINER two\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    let warned = sandbox.gantry(["build", "-t", "x", "."]).success().stderr;
    assert!(warned.contains("MaintainerDeprecated"), "{warned}");
    let author = sandbox.gantry(["inspect", "-f", "{{.Author}}", "x"]).success().stdout;
    assert_eq!(author, "two\n");
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox") + 1);
}

/// A5-07.
#[test]
fn a_cmd_is_kept_and_not_run() {
    let sandbox = build("FROM busybox\nCMD echo Hello World > /dev/stdout; echo x > /ran\n");
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox"));
    assert_eq!(run(&sandbox, &[]), "Hello World\n");
    assert_eq!(run(&sandbox, &["sh", "-c", "test -e /ran || echo never"]), "never\n");
}

/// A5-08.
#[test]
fn several_names_are_one_image() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM busybox\nLABEL a=b\n")]).with_busybox();
    sandbox.gantry(["build", "-t", "a", "-t", "b:1", "-t", "host:5000/c/d:e", "."]).success();
    let list = ["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
    let list = sandbox.gantry(list).success().stdout;
    let id = |name: &str| {
        let line = list.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("`{name}` is not in {list}")).to_owned()
    };
    assert_eq!(id("a:latest "), id("b:1 "));
    assert_eq!(id("a:latest "), id("host:5000/c/d:e "));
}

/// A5-09.
#[test]
fn the_context_is_all_that_a_copy_sees() {
    let sandbox = Sandbox::with([
        ("in/Dockerfile", "FROM busybox\nCOPY . /c/\n"),
        ("in/.dockerignore", "*.log\n!kept.log\nsecret\n"),
        ("in/a", ""),
        ("in/b.log", ""),
        ("in/kept.log", ""),
        ("in/secret/key", ""),
        ("outside", ""),
    ])
    .with_busybox();
    sandbox.gantry(["build", "-t", "x", "in"]).success();
    let found = "cd /c && find . -type f | sort";
    assert_eq!(
        run(&sandbox, &["sh", "-c", found]),
        "./.dockerignore\n./Dockerfile\n./a\n./kept.log\n"
    );
    for source in ["../outside", "/outside", "b.log", "secret/key"] {
        sandbox.write("in/Dockerfile", format!("FROM busybox\nCOPY {source} /\n"));
        let error = sandbox.gantry(["build", "in"]).code(1).stderr;
        assert!(error.contains("not found"), "{source}: {error}");
    }
}

/// A5-14: the tabs of continued lines reach the shell.
#[test]
fn tabs_of_continued_lines_are_kept() {
    let sandbox = build("FROM busybox\nRUN printf %s \"a\\\n\tb\" > /f\n");
    assert_eq!(run(&sandbox, &["cat", "/f"]), "a\tb");
}

/// A5-18: what is exposed is said, and nothing listens because of it.
#[test]
fn exposed_ports_add_up_and_open_nothing() {
    let sandbox = build("FROM busybox\nEXPOSE 80\nEXPOSE 53/udp 8000-8001\n");
    let ports = sandbox.gantry(["inspect", "-f", "{{json .Config.ExposedPorts}}", "x"]);
    assert_eq!(
        ports.success().stdout,
        "{\"53/udp\":{},\"80/tcp\":{},\"8000/tcp\":{},\"8001/tcp\":{}}\n"
    );
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox"));
    let listening = ["sh", "-c", "tail -n +2 /proc/net/tcp | wc -l"];
    let mut command = sandbox.command(["run", "--rm", "--network", "none", "x"]);
    let output = command.args(listening).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "0");
}

/// A5-19.
#[test]
fn five_runs_merged_are_one_layer() {
    let five: String = (1..=5).map(|n| format!("RUN echo {n} > /{n}\n")).collect();
    let sandbox = build(&format!("FROM busybox\n{five}"));
    let base = layers(&sandbox, "busybox");
    assert_eq!(layers(&sandbox, "x"), base + 5);
    let one = five.trim_end().replace("\nRUN", " &&");
    sandbox.write("Dockerfile", format!("FROM busybox\n{one}\n"));
    sandbox.gantry(["build", "-t", "x", "."]).success();
    assert_eq!(layers(&sandbox, "x"), base + 1);
    assert_eq!(run(&sandbox, &["sh", "-c", "cat /[1-5]"]), "1\n2\n3\n4\n5\n");
}
