//! Which input made a step run: each of them changed alone, told beforehand by a dry run and
//! afterwards by `gantry why`, as text and as JSON.

use serde_json::Value;

use super::why;
use crate::sandbox::Sandbox;

const DOCKERFILE: &str = "FROM base AS one\n\
    ARG ONLY_ONE=1\n\
    RUN echo $ONLY_ONE > /one\n\
    FROM base AS two\n\
    RUN echo 2 > /two\n\
    FROM base\n\
    COPY --from=two /two /two\n\
    RUN --mount=from=one,target=/m cat /m/one /two\n\
    RUN <<EOF\n\
    echo run\n\
    EOF\n\
    COPY <<EOF /there\n\
    copied\n\
    EOF\n\
    COPY a b /\n";

/// A project of all kinds of inputs, whose base image has one layer more than busybox. It was built.
fn project() -> Sandbox {
    let files = [("Dockerfile", DOCKERFILE), ("a", "a"), ("b", "b"), ("c", "c")];
    let sandbox = Sandbox::with(files).with_busybox();
    base(&sandbox, "1");
    sandbox.gantry(["build", "."]).success();
    sandbox
}

fn base(sandbox: &Sandbox, content: &str) {
    sandbox.write("base/Dockerfile", "FROM busybox\nCOPY file /file\n");
    sandbox.write("base/file", content);
    sandbox.gantry(["build", "-t", "base", "base"]).success();
}

fn edit(sandbox: &Sandbox, from: &str, to: &str) {
    assert_eq!(DOCKERFILE.matches(from).count(), 1, "{from}");
    sandbox.write("Dockerfile", DOCKERFILE.replace(from, to));
}

/// What a dry run says beforehand, and then, of the same build, `gantry why`.
fn told(sandbox: &Sandbox, flags: &[&str]) -> (String, String) {
    let build = |form: &[&str]| {
        let words = [&["build"], form, flags, &["."]].concat();
        sandbox.gantry_words(&words).success().stdout
    };
    let dry = build(&["--dry-run"]);
    let plan = build(&["--dry-run=json"]);
    build(&[]);
    agree(&serde_json::from_str(&plan).unwrap(), &why(sandbox, ""));
    (dry, sandbox.gantry(["why"]).success().stdout)
}

/// Steps of which a dry run was sure ran, and for the reasons that it gave; no step ran of which it
/// had not said that it may.
fn agree(plan: &Value, ran: &Value) {
    let ran = ran["steps"].as_array().unwrap();
    let of = |title: &Value| ran.iter().find(|step| step["title"] == *title);
    for step in plan["steps"].as_array().unwrap() {
        match (step["fate"].as_str().unwrap(), of(&step["title"])) {
            ("cached", ran) => assert!(ran.is_none(), "{step} ran: {ran:?}"),
            ("runs", None) => panic!("{step} did not run"),
            ("runs", Some(ran)) => {
                assert_eq!(step["reason"], ran["reason"], "{step}\n{ran}");
                assert_eq!(step["differences"], ran["differences"], "{step}\n{ran}");
            }
            (fate, _) => assert_eq!(fate, "may-run"),
        }
    }
}

/// Both say all of this.
fn both_say((dry, after): &(String, String), lines: &[&str]) {
    for line in lines {
        assert!(dry.contains(line), "{line} is missing beforehand in:\n{dry}");
        assert!(after.contains(line), "{line} is missing in:\n{after}");
    }
}

#[test]
fn other_layers_of_the_base_image() {
    let sandbox = project();
    base(&sandbox, "2");
    let told = told(&sandbox, &[]);
    both_say(&told, &["  Base image docker.io/library/base:latest: changed: \"sha256:"]);
    assert!(told.0.contains("runs     [two 2/2] RUN echo 2 > /two\n"), "{}", told.0);
    let found = why(&sandbox, "two 2/2");
    let difference = &found["steps"][0]["differences"][0];
    assert_eq!(difference["kind"], "base-image", "{found}");
    assert_eq!(difference["part"], "config", "{found}");
}

#[test]
fn a_build_arg_of_one_stage() {
    let sandbox = project();
    let told = told(&sandbox, &["--build-arg", "ONLY_ONE=other"]);
    both_say(
        &told,
        &["[one 2/2] RUN echo other > /one\n", "  ARG ONLY_ONE: changed: \"1\" is now \"other\"\n"],
    );
    let (dry, after) = told;
    assert!(dry.contains("cached   [stage-2 2/6] COPY --from=two /two /two\n"), "{dry}");
    assert!(!after.contains("RUN echo 2"), "{after}");
    // A mount's source: nobody knows beforehand what is in it.
    let mount = "[stage-2 3/6] RUN --mount=from=one,target=/m cat /m/one /two\n";
    assert!(
        dry.contains(&format!("may run  {mount}           What it takes from [one 2/2]")),
        "{dry}"
    );
    let file = "  File one of [one 2/2] RUN echo other > /one: content changed\n";
    assert!(after.contains(&format!("{mount}{file}")), "{after}");
}

#[test]
fn heredocs() {
    let sandbox = project();
    edit(&sandbox, "echo run\n", "echo more\n");
    let said = told(&sandbox, &[]);
    let command = "  Command: \"/bin/sh -c echo run\\n\" is now \"/bin/sh -c echo more\\n\"\n";
    both_say(&said, &[command]);
    let sandbox = project();
    edit(&sandbox, "copied", "other");
    let said = told(&sandbox, &[]);
    both_say(&said, &["  Heredoc: \"copied\\n\" is now \"other\\n\"\n"]);
    let found = why(&sandbox, "COPY <<EOF");
    assert_eq!(found["steps"][0]["summary"], "the heredoc changed");
    assert_eq!(found["steps"][0]["differences"][0]["kind"], "sources");
}

#[test]
fn what_a_copy_names() {
    let sandbox = project();
    edit(&sandbox, "COPY a b /", "COPY a c /");
    let said = told(&sandbox, &[]);
    both_say(&said, &["  What it copies: path changed: \"b\" is now \"c\"\n"]);
    let sandbox = project();
    edit(&sandbox, "COPY a b /", "COPY a b c /");
    let said = told(&sandbox, &[]);
    both_say(&said, &["  What it copies: changed\n"]);
}

#[test]
fn a_stage_that_is_not_to_be_cached() {
    let sandbox = project();
    let (dry, after) = told(&sandbox, &["--no-cache-filter", "two"]);
    for line in [
        "runs     [two 2/2] RUN echo 2 > /two\n           The cache was not to be used (--no-cache)\n",
        "may run  [stage-2 2/6] COPY --from=two /two /two\n           Nothing differs, but a step \
         before it ran again: [two 2/2] RUN echo 2 > /two\n",
    ] {
        assert!(dry.contains(line), "{line} is missing in:\n{dry}");
    }
    assert!(!dry.contains("gone"), "{dry}");
    // It came out as before, so nothing else ran.
    assert!(after.ends_with("RUN echo 2 > /two\n  The cache was not to be used (--no-cache)\n"));
    assert_eq!(why(&sandbox, "")["steps"].as_array().unwrap().len(), 1, "{after}");
}

#[test]
fn hosts_and_networks() {
    let sandbox = project();
    let said = told(&sandbox, &["--add-host", "peer:10.0.0.1"]);
    both_say(&said, &["  Option extra hosts: changed: \"\" is now \"peer\"\n"]);
    assert!(!said.1.contains("COPY --from"), "equal files, but it ran again: {}", said.1);
    // Where a host is found does not count.
    let said = told(&sandbox, &["--add-host", "peer:10.0.0.2"]);
    assert_eq!(said.1, "Every step came from the cache\n");
    let said = told(&sandbox, &["--add-host", "peer:10.0.0.2", "--network", "none"]);
    both_say(&said, &["  Option network: changed: \"default\" is now \"none\"\n"]);
}

#[test]
fn another_platform() {
    let text = "FROM --platform=$BUILDPLATFORM busybox\nARG TARGETARCH\nRUN echo $TARGETARCH\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    for platform in ["linux/amd64", "linux/arm64"] {
        sandbox.gantry(["build", "--platform", platform, "."]).success();
    }
    let said = sandbox.gantry(["why"]).success().stdout;
    assert!(said.contains("  ARG TARGETARCH: changed: \"amd64\" is now \"arm64\"\n"), "{said}");
    let plan = sandbox.gantry(["build", "--dry-run", "--platform", "linux/s390x", "."]);
    let plan = plan.success().stdout;
    assert!(plan.contains("  ARG TARGETARCH: changed: \"arm64\" is now \"s390x\"\n"), "{plan}");
}
