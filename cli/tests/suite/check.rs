//! `gantry check`, `build --check` and `build --call`: what they print, and how they exit.

use serde_json::Value;

use crate::sandbox::Sandbox;

const WARNED: &str = "FROM scratch AS Base\nCOPY a /\nCMD server --port 80\n";
const FINE: &str = "FROM scratch AS base\nCOPY a /\nCMD [\"server\"]\n";

#[test]
fn findings_are_printed_as_buildkit_prints_them() {
    let sandbox = Sandbox::with([("Dockerfile", WARNED)]);
    let output = sandbox.gantry(["build", "--check", "."]).code(1);
    insta::assert_snapshot!(output.stdout, @r#"

    WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
    Stage name 'Base' should be lowercase
    Dockerfile:1
    --------------------
       1 | >>> FROM scratch AS Base
         |                     ^^^^
       2 |     COPY a /
       3 |     CMD server --port 80
    --------------------

    WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
    JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
    Dockerfile:3
    --------------------
       1 |     FROM scratch AS Base
       2 |     COPY a /
       3 | >>> CMD server --port 80
         |         ^^^^^^^^^^^^^^^^
    --------------------

    Check complete, 2 warnings have been found!
    "#);
    let output = sandbox.gantry(["build", "--call=check,format=json", "."]).code(1);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let first = &document["warnings"][0];
    assert_eq!(first["ruleName"], "StageNameCasing");
    assert_eq!(first["location"]["ranges"][0]["start"]["line"], 1);
    assert_eq!(document["sources"][0]["filename"], "Dockerfile");
    sandbox.write("Dockerfile", FINE);
    let output = sandbox.gantry(["build", "--call=check", "."]).success();
    assert_eq!(output.stdout, "Check complete, no warnings found.\n");
    // Nothing was built for it, and no store made.
    assert!(!sandbox.store().exists());
}

#[test]
fn errors_of_the_grammar_come_first() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPI a b\n")]);
    let output = sandbox.gantry(["build", "--check", "."]).code(1);
    assert!(output.stderr.contains("unknown instruction: COPI"), "{}", output.stderr);
    sandbox.gantry(["check"]).code(1);
    let output = sandbox.gantry(["build", "--call=nonsense", "."]).code(1);
    assert!(output.stderr.contains("unknown method"), "{}", output.stderr);
}

#[test]
fn the_ignore_file_and_build_arguments_count() {
    let text = "ARG TAG\nFROM scratch\nCOPY secret /\n";
    let sandbox = Sandbox::with([("Dockerfile", text), (".dockerignore", "secret\n")]);
    let output = sandbox.gantry(["build", "--check", "."]).code(1);
    assert!(output.stdout.contains("WARNING: CopyIgnoredFile - "), "{}", output.stdout);
    let skip = "BUILDKIT_DOCKERFILE_CHECK=skip=CopyIgnoredFile";
    sandbox.gantry(["build", "--check", "--build-arg", skip, "."]).success();
}

#[test]
fn the_stores_images_are_looked_at() {
    let text = "FROM busybox:latest\nWORKDIR /$PAHT\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    let output = sandbox.gantry(["build", "--check", "."]).code(1);
    assert!(output.stdout.contains("did you mean $PATH?"), "{}", output.stdout);
    let output = sandbox.gantry(["build", "--check", "--platform", "linux/s390x", "."]).code(1);
    assert!(output.stdout.contains("InvalidBaseImagePlatform"), "{}", output.stdout);
}

#[test]
fn outline_and_targets() {
    let text = "# GO is the version of Go\nARG GO=1.24\n# base is where it starts\n\
                FROM scratch AS base\n# other is left out\nARG other=x\n\
                RUN --mount=type=secret,id=token,required true\nFROM scratch AS unused\nARG no\n\
                FROM base\nARG GO\nRUN --mount=type=ssh true\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]);
    let output = sandbox.gantry(["build", "--call=outline", "--build-arg", "GO=2", "."]).success();
    insta::assert_snapshot!(output.stdout, @r#"
    TARGET:   default

    BUILD ARG   VALUE     DESCRIPTION
    GO          2         is the version of Go
    other       x         is left out

    SECRET    REQUIRED
    token     true

    SSH       REQUIRED
    default
    "#);
    let output = sandbox.gantry(["build", "--call", "targets", "."]).success();
    assert_eq!(
        output.stdout,
        "TARGET      DESCRIPTION\nbase        is where it starts\nunused      \n(default)   \n"
    );
    let output = sandbox.gantry(["build", "--call=targets,format=json", "."]).success();
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["targets"][0]["description"], "is where it starts");
    assert_eq!(document["targets"][2]["default"], true);
    let output = sandbox.gantry(["build", "--call=outline", "--target=nowhere", "."]).code(1);
    assert!(output.stderr.contains("could not be found"), "{}", output.stderr);
    let output = sandbox.gantry(["build", "--call=subrequests.describe", "."]).success();
    assert!(output.stdout.contains("frontend.lint"), "{}", output.stdout);
}

#[test]
fn hadolint_is_on_for_check_and_off_for_build() {
    let text = "FROM debian\nRUN cd /x && apt-get install curl\nMAINTAINER me\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]);
    let output = sandbox.gantry(["check"]).code(1);
    for code in ["DL3003", "DL3006", "DL3008", "DL3014", "DL3015", "MaintainerDeprecated"] {
        assert!(output.stdout.contains(code), "{code}: {}", output.stdout);
    }
    // Said once.
    assert!(!output.stdout.contains("DL4000"), "{}", output.stdout);
    let output = sandbox.gantry(["build", "--check", "."]).code(1);
    assert!(!output.stdout.contains("DL3"), "{}", output.stdout);
    let output = sandbox.gantry(["check", "--hadolint=false", "Dockerfile"]).code(1);
    assert!(output.stdout.ends_with("\nCheck complete, 1 warning has been found!\n"));
}

#[test]
fn hadolints_settings_count() {
    let text = "FROM debian:12\nRUN apt-get install -y --no-install-recommends curl\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]);
    sandbox.gantry(["check"]).code(1);
    sandbox.gantry(["check", "--failure-threshold", "error"]).success();
    sandbox.gantry(["check", "--failure-threshold", "dear"]).code(1);
    sandbox.write(".hadolint.yaml", "failure-threshold: error\n");
    sandbox.gantry(["check"]).success();
    sandbox
        .write(".hadolint.yaml", "failure-threshold: error\noverride:\n  error:\n    - DL3008\n");
    let output = sandbox.gantry(["check"]).code(1);
    assert!(output.stdout.contains("ERROR: DL3008 - "), "{}", output.stdout);
    sandbox.write(".hadolint.yaml", "ignored:\n  - DL3008\ntrustedRegistries: [docker.io]\n");
    sandbox.gantry(["check"]).success();
    sandbox.write("other.yaml", "trustedRegistries: ['registry.example']\n");
    let output = sandbox.gantry(["check", "--config", "other.yaml"]).code(1);
    assert!(output.stdout.contains("DL3026"), "{}", output.stdout);
    let schema = "ignored: [DL3008]\nstrict-labels: true\nlabel-schema: {url: url, title: text}\n";
    sandbox.write(".hadolint.yaml", schema);
    sandbox.write("Labelled", "FROM debian:12\nLABEL url=here note=x\n");
    let output = sandbox.gantry(["check", "Labelled"]).code(1);
    for told in ["`url` is not a valid URL", "`title` is missing", "Superfluous label(s)"] {
        assert!(output.stdout.contains(told), "{told}: {}", output.stdout);
    }
    sandbox.write(".hadolint.yaml", "label-schema: {url: address}\n");
    let output = sandbox.gantry(["check", "Dockerfile"]).code(1);
    let told = "There is no type `address` for the label `url`";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    sandbox.write(".hadolint.yaml", "ignored: {a: b\n");
    let output = sandbox.gantry(["check"]).code(1);
    assert!(output.stderr.contains("Failed to read `.hadolint.yaml`"), "{}", output.stderr);
    let ignored = text.replace("RUN", "# hadolint ignore=DL3008\nRUN");
    fs_err::remove_file(sandbox.project().join(".hadolint.yaml")).unwrap();
    sandbox.gantry_with_input(["check", "-"], ignored.as_bytes()).success();
}

#[test]
fn sarif_names_rule_file_and_region() {
    let sandbox = Sandbox::with([("images/Dockerfile", WARNED)]);
    let output = sandbox.gantry(["check", "--format", "sarif", "images"]).code(1);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let result = &document["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "StageNameCasing");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "images/Dockerfile");
    assert_eq!(place["region"]["startColumn"], 17);
    let rules = document["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "JSONArgsRecommended"));
}

#[test]
fn rules_explain_themselves() {
    let sandbox = Sandbox::new();
    for rule in ["UndefinedVar", "undefinedvar", "DL3008"] {
        let output = sandbox.gantry(["check", "--explain", rule]).success();
        assert!(output.stdout.contains("\nInstead of\n"), "{}", output.stdout);
    }
    let output = sandbox.gantry(["check", "--explain", "UndefinedVa"]).code(1);
    assert!(output.stderr.contains("Did you mean `UndefinedVar`?"), "{}", output.stderr);
}

#[test]
fn mending_rewrites_only_what_it_mends() {
    let text = "from scratch as Base   # no comment\r\n\r\nenv A  b c\r\nMaintainer me\r\n# x\r\n\
                CMD server\r\n";
    let text = text.replace("   # no comment", "");
    let sandbox = Sandbox::with([("Dockerfile", text.as_str())]);
    let output = sandbox.gantry(["check", "--fix", "--hadolint=false"]).success();
    assert!(output.stderr.contains("Mended MaintainerDeprecated (line 4)"), "{}", output.stderr);
    let mended = String::from_utf8(sandbox.read("Dockerfile")).unwrap();
    assert_eq!(
        mended,
        "from scratch as base\r\n\r\nenv A=\"b c\"\r\n\
         label org.opencontainers.image.authors=\"me\"\r\n# x\r\ncmd [\"server\"]\r\n"
    );
    let output = sandbox.gantry(["check", "--fix", "--hadolint=false"]).success();
    assert_eq!(output.stderr, "");
    assert_eq!(sandbox.read("Dockerfile"), mended.as_bytes());
    sandbox.gantry_with_input(["check", "--fix", "-"], b"FROM scratch\n").code(125);
}

#[test]
fn builds_warn_of_what_the_ignore_file_leaves_out() {
    let text = "FROM scratch AS unused\nCOPY secret /\nFROM busybox\nCOPY open /\n";
    let sandbox = Sandbox::with([("Dockerfile", text), (".dockerignore", "secret\n")]);
    let sandbox = sandbox.with_busybox();
    sandbox.write("open", "");
    let output = sandbox.gantry(["build", "."]).success();
    let warning = "CopyIgnoredFile: Attempting to Copy file \"secret\" that is excluded by .dockerignore (line 2)";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    sandbox.write("Dockerfile", format!("# check=error=true\n{text}"));
    let output = sandbox.gantry(["build", "."]).code(1);
    let error = "ERROR: failed to solve: lint violation found for rules: CopyIgnoredFile\nhint: ";
    assert!(output.stderr.contains(error), "{}", output.stderr);
}
