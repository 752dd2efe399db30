//! What the tutorials say of the process that an image starts: CMD, ENTRYPOINT and ENV (A6).

use std::process::{Output, Stdio};

use crate::sandbox::Sandbox;

fn build(dockerfile: &str) -> Sandbox {
    let sandbox = Sandbox::new().with_busybox();
    rebuild(&sandbox, dockerfile);
    sandbox
}

/// Builds `x` and returns what was said about it.
fn rebuild(sandbox: &Sandbox, dockerfile: &str) -> String {
    sandbox.write("Dockerfile", dockerfile);
    sandbox.gantry(["build", "-t", "x", "."]).success().stderr
}

fn started(sandbox: &Sandbox, words: &[&str]) -> Output {
    let mut command = sandbox.command(["run", "--rm", "--network", "none"]);
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

/// What the process prints.
#[track_caller]
fn run(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = started(sandbox, words);
    assert!(output.status.success(), "{words:?} {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn config(sandbox: &Sandbox, field: &str) -> serde_json::Value {
    let format = format!("{{{{json .Config.{field}}}}}");
    let printed = sandbox.gantry(["inspect", "-f", &format, "x"]).success().stdout;
    serde_json::from_str(&printed).unwrap()
}

/// A6-01.
#[test]
fn the_last_cmd_counts() {
    let sandbox = Sandbox::new().with_busybox();
    let said = rebuild(&sandbox, "FROM busybox\nCMD [\"echo\", \"1\"]\nCMD [\"echo\", \"2\"]\n");
    assert!(said.contains("MultipleInstructionsDisallowed: Multiple CMD"), "{said}");
    assert_eq!(run(&sandbox, &["x"]), "2\n");
}

/// A6-02.
#[test]
fn words_replace_the_cmd() {
    let sandbox = build("FROM busybox\nCMD echo the cmd\n");
    assert_eq!(run(&sandbox, &["x", "date", "-u", "-d", "@0", "+%Y"]), "1970\n");
}

/// A6-03.
#[test]
fn a_cmd_of_text_is_the_shells() {
    let sandbox = build("FROM busybox\nCMD echo $var1\n");
    assert_eq!(config(&sandbox, "Cmd"), serde_json::json!(["/bin/sh", "-c", "echo $var1"]));
    assert_eq!(run(&sandbox, &["-e", "var1=some  text", "x"]), "some text\n");
    assert_eq!(run(&sandbox, &["x"]), "\n");
}

/// A6-04.
#[test]
fn a_cmd_of_json_has_no_shell() {
    let sandbox = build("FROM busybox\nENV HOME=/h\nCMD [\"echo\", \"$HOME\", \"a b\"]\n");
    assert_eq!(config(&sandbox, "Cmd"), serde_json::json!(["echo", "$HOME", "a b"]));
    assert_eq!(run(&sandbox, &["x"]), "$HOME a b\n");
    let said = rebuild(
        &sandbox,
        "FROM scratch\nCOPY --from=busybox /bin/busybox /b/busybox\nCMD [\"/b/busybox\", \"echo\", \"no shell\"]\n",
    );
    assert_eq!(run(&sandbox, &["x"]), "no shell\n", "{said}");
}

/// A6-05.
#[test]
fn json_that_is_none_is_text() {
    let sandbox = Sandbox::new().with_busybox();
    let said = rebuild(&sandbox, "FROM busybox\nCMD ['echo','b']\n");
    assert!(said.contains("JSONArgsRecommended"), "{said}");
    assert_eq!(config(&sandbox, "Cmd"), serde_json::json!(["/bin/sh", "-c", "['echo','b']"]));
    assert_eq!(started(&sandbox, &["x"]).status.code(), Some(127));
}

/// A6-06, A6-07.
#[test]
fn words_follow_the_entrypoint_and_never_replace_it() {
    let sandbox = build("FROM busybox\nENTRYPOINT [\"echo\"]\nCMD [\"the\", \"cmd\"]\n");
    assert_eq!(run(&sandbox, &["x", "Hello", "there!"]), "Hello there!\n");
    assert_eq!(run(&sandbox, &["-i", "x", "/bin/bash"]), "/bin/bash\n");
    assert_eq!(run(&sandbox, &["x"]), "the cmd\n");
}

/// A6-08: all nine of them.
#[test]
fn entrypoint_and_cmd_meet_in_nine_ways() {
    // Prints the words that it was given, as told apart.
    let print = "COPY --chmod=755 print /bin/print\n";
    let sandbox = Sandbox::with([("print", "#!/bin/sh\nprintf '<%s>' \"$@\"\n")]).with_busybox();
    let (text, json) = ("ENTRYPOINT print e t\n", "ENTRYPOINT [\"print\", \"e j\"]\n");
    let shell = "</bin/sh><-c><print c t>";
    for (entrypoint, cmd, bare, with_words) in [
        ("", "", None, "<w><o r>"),
        ("", "CMD [\"print\", \"c j\"]\n", Some("<c j>"), "<w><o r>"),
        ("", "CMD print c t\n", Some("<c><t>"), "<w><o r>"),
        (text, "", Some("<e><t>"), "<e><t>"),
        (text, "CMD [\"print\", \"c j\"]\n", Some("<e><t>"), "<e><t>"),
        (text, "CMD print c t\n", Some("<e><t>"), "<e><t>"),
        (json, "", Some("<e j>"), "<e j><print><w><o r>"),
        (json, "CMD [\"print\", \"c j\"]\n", Some("<e j><print><c j>"), "<e j><print><w><o r>"),
        (json, "CMD print c t\n", Some(&*format!("<e j>{shell}")), "<e j><print><w><o r>"),
    ] {
        let said = rebuild(&sandbox, &format!("FROM busybox\n{print}{entrypoint}{cmd}"));
        let case = format!("{entrypoint}{cmd}{said}");
        match bare {
            Some(expected) => assert_eq!(run(&sandbox, &["x"]), expected, "{case}"),
            None => {
                let output = started(&sandbox, &["x"]);
                assert_eq!(output.status.code(), Some(125), "{case}");
                let error = String::from_utf8(output.stderr).unwrap();
                assert!(error.starts_with("ERROR: no command specified\n"), "{error}");
            }
        }
        assert_eq!(run(&sandbox, &["x", "print", "w", "o r"]), with_words, "{case}");
    }
}

/// A6-09.
#[test]
fn another_entrypoint_takes_the_cmd_away() {
    let sandbox = build("FROM busybox\nENTRYPOINT [\"echo\", \"e\"]\nCMD [\"c\"]\n");
    assert_eq!(run(&sandbox, &["--entrypoint", "echo", "x"]), "\n");
    assert_eq!(run(&sandbox, &["--entrypoint", "printf", "x", "%s", "w"]), "w");
    assert_eq!(run(&sandbox, &["--entrypoint", "", "x", "echo", "bare"]), "bare\n");
    let output = started(&sandbox, &["--entrypoint", "", "x"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
}

/// A6-10.
#[test]
fn an_entrypoint_resets_an_inherited_cmd() {
    let base = "FROM busybox AS base\nCMD [\"inherited\"]\n";
    let entrypoint = "ENTRYPOINT [\"echo\", \"e\"]\n";
    let sandbox = build(&format!("{base}FROM base\n{entrypoint}"));
    assert_eq!(config(&sandbox, "Cmd"), serde_json::Value::Null);
    assert_eq!(run(&sandbox, &["x"]), "e\n");
    for both in [format!("CMD [\"c\"]\n{entrypoint}"), format!("{entrypoint}CMD [\"c\"]\n")] {
        rebuild(&sandbox, &format!("{base}FROM base\n{both}"));
        assert_eq!(run(&sandbox, &["x"]), "e c\n", "{both}");
    }
    // The same for an image that was built before.
    rebuild(&sandbox, base);
    sandbox.gantry(["tag", "x", "before"]).success();
    rebuild(&sandbox, &format!("FROM before\n{entrypoint}"));
    assert_eq!(run(&sandbox, &["x"]), "e\n");
}

/// A6-11.
#[test]
fn env_is_there_at_build_and_at_run() {
    let sandbox =
        build("FROM busybox\nENV a=b c=\"d e\"\nENV f=$a-g a=later\nRUN echo $a,$c,$f > /f\n");
    let print = "cat /f; echo $a,$c,$f";
    assert_eq!(run(&sandbox, &["x", "sh", "-c", print]), "later,d e,b-g\nlater,d e,b-g\n");
    let history = ["history", "--no-trunc", "--format", "{{.CreatedBy}} {{.Size}}", "x"];
    let history = sandbox.gantry(history).success().stdout;
    let lines: Vec<_> = history.lines().collect();
    assert_eq!(&lines[1..3], ["ENV f=b-g a=later 0B", "ENV a=b c=d e 0B"], "{history}");
    assert_eq!(lines.len(), 4, "{history}");
}

/// A6-12.
#[test]
fn variables_in_cmd_are_the_shells() {
    let sandbox = build("FROM busybox\nENV var3=echo var4=hellooooo\nCMD $var3 $var4\n");
    assert_eq!(run(&sandbox, &["x"]), "hellooooo\n");
    rebuild(&sandbox, "FROM busybox\nENV var3=three var4=\"and four\"\nCMD echo $var3 $var4\n");
    assert_eq!(run(&sandbox, &["x"]), "three and four\n");
    rebuild(&sandbox, "FROM busybox\nENV v=1\nCMD [\"echo\", \"$v\"]\n");
    assert_eq!(run(&sandbox, &["x"]), "$v\n");
}

/// A6-13.
#[test]
fn variables_of_the_caller_win() {
    let sandbox =
        build("FROM busybox\nENV A=image B=image C=image\nCMD echo ${A-}.$B.$C.${D-unset}\n");
    let sandbox = sandbox.env("B", "host");
    sandbox.write("vars", "# text\n\nC=file\nB\nD\n");
    assert_eq!(run(&sandbox, &["x"]), "image.image.image.unset\n");
    assert_eq!(run(&sandbox, &["-e", "A=", "-e", "B", "-e", "D", "x"]), ".host.image.unset\n");
    assert_eq!(run(&sandbox, &["--env-file", "vars", "x"]), "image.host.file.unset\n");
    let both = ["-e", "C=flag", "--env-file", "vars", "x"];
    assert_eq!(run(&sandbox, &both), "image.host.flag.unset\n");
}
