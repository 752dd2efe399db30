//! The Dockerfiles of the usual tutorials.

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

#[test]
fn three_runs_are_three_layers() {
    let sandbox = build("# a comment first\nFROM busybox\nRUN true\nRUN touch /a\nRUN rm /a\n");
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox") + 3);
}

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

#[test]
fn variables_in_cmd_are_the_shells() {
    let sandbox = build("FROM busybox\nENV var3=three var4=\"and four\"\nCMD echo $var3 $var4\n");
    assert_eq!(run(&sandbox, &[]), "three and four\n");
    let sandbox = build("FROM busybox\nENV v=1\nCMD [\"echo\", \"$v\"]\n");
    assert_eq!(run(&sandbox, &[]), "$v\n");
}

#[test]
fn expose_and_volume_are_metadata() {
    let sandbox = build("FROM busybox\nEXPOSE 80\nVOLUME /data\nENV A=b\n");
    let config = sandbox.gantry(["inspect", "-f", "{{json .Config}}", "x"]).success().stdout;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert_eq!(config["Volumes"], serde_json::json!({"/data": {}}));
}

#[test]
fn a_continuation_line_may_hold_only_the_backslash() {
    let sandbox =
        build("FROM busybox\nRUN echo a > /f && \\\n\\\n\techo b >> /f && \\\n\\\n\ttrue\n");
    assert_eq!(layers(&sandbox, "x"), layers(&sandbox, "busybox") + 1);
    assert_eq!(run(&sandbox, &["cat", "/f"]), "a\nb\n");
}

#[test]
fn a_name_that_moves_leaves_the_old_image_without_one() {
    let sandbox = build("FROM busybox\nRUN echo 1\n");
    sandbox.write("Dockerfile", "FROM busybox\nRUN echo 2\n");
    sandbox.gantry(["build", "-t", "x", "."]).success();
    let dangling = sandbox.gantry(["images", "-q", "-f", "dangling=true"]).success().stdout;
    assert_eq!(dangling.lines().count(), 1);
}

#[test]
fn the_same_dockerfile_in_two_stores_is_the_same_image() {
    let [one, two] = [(), ()].map(|()| {
        let text = "FROM busybox\nRUN date > /dev/null; echo x > /x\nCOPY f /\nLABEL a=b\n";
        let sandbox = Sandbox::with([("Dockerfile", text), ("f", "f")]).at_time(1_714_564_800);
        let sandbox = sandbox.with_busybox();
        sandbox.gantry(["build", "-q", "."]).success().stdout
    });
    assert_eq!(one, two);
}
