//! `gantry context ls`: what a context holds, who keeps and drops it, and who uses it.

use serde_json::Value;

use crate::sandbox::Sandbox;

fn project() -> Sandbox {
    Sandbox::with([
        (
            "Dockerfile",
            "ARG WHAT=src\nFROM nowhere/to/be/found AS build\nARG WHAT\nCOPY $WHAT/*.c /src/\n\
             RUN --mount=type=bind,source=tools,target=/t true\n\
             FROM scratch\nCOPY --from=build /x /x\nCOPY --exclude=*.md docs /docs\n",
        ),
        (".dockerignore", "# nothing here\n*.log\n!keep.log\nnode_modules\n"),
        ("src/main.c", "12345"),
        ("src/main.h", "123"),
        ("tools/run", "1"),
        ("docs/page", "1234567890"),
        ("docs/notes.md", "12"),
        ("drop.log", "1"),
        ("keep.log", "1"),
        ("node_modules/a/index.js", "1234"),
    ])
}

fn json(sandbox: &Sandbox, flags: &[&str]) -> Vec<Value> {
    let words = [&["context", "ls", "--format", "json"][..], flags].concat();
    let text = sandbox.gantry_words(&words).success().stdout;
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
}

fn paths(files: &[Value]) -> Vec<&str> {
    files.iter().map(|file| file["path"].as_str().unwrap()).collect()
}

#[test]
fn every_file_has_the_line_that_decided() {
    let sandbox = project();
    let files = json(&sandbox, &["--why"]);
    let rule = |path: &str| {
        let file = files.iter().find(|file| file["path"] == path).unwrap();
        (file["kept"].as_bool().unwrap(), file["rule"]["line"].as_u64())
    };
    assert_eq!(rule("drop.log"), (false, Some(2)));
    assert_eq!(rule("keep.log"), (true, Some(3)));
    assert_eq!(rule("node_modules/a/index.js"), (false, Some(4)));
    assert_eq!(rule("src/main.c"), (true, None));
    let table = sandbox.gantry(["context", "ls", "--why"]).success().stdout;
    let line = |path: &str| {
        let line = table.lines().find(|line| line.contains(path)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(" drop.log"), "dropped 1B drop.log .dockerignore:2 *.log");
    assert_eq!(line(" keep.log"), "kept 1B keep.log .dockerignore:3 !keep.log");
    assert_eq!(line("src/main.h"), "kept 3B src/main.h no line matches");
    assert!(!sandbox.store().exists(), "looking makes no store");
}

#[test]
fn only_what_is_kept_is_listed_and_what_nobody_uses_on_request() {
    let sandbox = project();
    let kept = json(&sandbox, &[]);
    assert!(!paths(&kept).contains(&"drop.log") && paths(&kept).contains(&"keep.log"));
    let unused = json(&sandbox, &["--unused"]);
    // Stages that no target needs count, bind mounts and expanded variables, too.
    assert_eq!(paths(&unused), ["docs/notes.md", "keep.log", "src/main.h"]);
    let other = json(&sandbox, &["--unused", "--build-arg", "WHAT=docs"]);
    assert!(paths(&other).contains(&"src/main.c"));
    let main = kept.iter().find(|file| file["path"] == "src/main.c").unwrap();
    assert!(main["used_by"][0].as_str().unwrap().contains("COPY src/*.c /src/"), "{main}");
}

#[test]
fn the_biggest_directories_come_first() {
    let sandbox = project();
    let listed = json(&sandbox, &["--size"]);
    assert_eq!(paths(&listed), [".", "docs", "src", "tools"]);
    assert_eq!(listed[1]["size"], 12);
    assert_eq!(listed[1]["unused_size"], 2);
    assert_eq!(listed[2]["files"], 2);
    let table = sandbox.gantry(["context", "ls", "--size"]).success().stdout;
    assert!(table.starts_with("SIZE"), "{table}");
}

#[test]
fn a_dockerfile_that_is_wrong_leaves_the_files() {
    let sandbox = Sandbox::with([("Dockerfile", "COPY\n"), ("a", "1")]);
    let run = sandbox.gantry(["context", "ls"]).success();
    assert!(run.stdout.contains(" a\n") && run.stderr.contains("WARNING"), "{run:?}");
    sandbox.gantry(["context", "ls", "--unused"]).code(1);
}
