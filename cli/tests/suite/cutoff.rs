//! Early cut-off: what may change without anything running again.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::sandbox::Sandbox;

const DOCKERFILE: &str = "FROM busybox AS build\n\
    ENV BEFORE=1\n\
    LABEL a=1\n\
    COPY list tool /src/\n\
    RUN sort /src/list > /out\n\
    FROM busybox\n\
    COPY --from=build /out /out\n\
    RUN --mount=type=bind,from=build,source=/out,target=/in wc -l /in > /count\n\
    ENV AFTER=1\n\
    CMD [\"cat\", \"/count\"]\n";

fn project() -> Sandbox {
    let sandbox = Sandbox::with([("Dockerfile", DOCKERFILE), ("list", "a\nb\n"), ("tool", "x")])
        .with_busybox();
    sandbox.gantry(["build", "-t", "app", "."]).success();
    sandbox
}

/// Builds, and returns what ran.
fn ran(sandbox: &Sandbox, flags: &[&str]) -> Vec<String> {
    sandbox.gantry_words(&[&["build", "-t", "app"][..], flags, &["."]].concat()).success();
    ran_last(sandbox)
}

/// What ran in the last build.
fn ran_last(sandbox: &Sandbox) -> Vec<String> {
    let shown = sandbox.gantry(["builds", "show", "--format", "json"]).success().stdout;
    let record: Value = serde_json::from_str(&shown).unwrap();
    let steps = record["steps"].as_array().unwrap().iter();
    let ran = steps.filter(|step| !step["why"].is_null());
    ran.map(|step| step["title"].as_str().unwrap().to_owned()).collect()
}

fn edit(sandbox: &Sandbox, from: &str, to: &str) {
    let text = String::from_utf8(sandbox.read("Dockerfile")).unwrap();
    assert!(text.contains(from), "{text}");
    sandbox.write("Dockerfile", text.replace(from, to));
}

#[test]
fn a_rebuilt_stage_with_an_unchanged_result_invalidates_nothing_that_takes_from_it() {
    let sandbox = project();
    sandbox.write("list", "b\na\n");
    assert_eq!(
        ran(&sandbox, &[]),
        ["[build 2/3] COPY list tool /src/", "[build 3/3] RUN sort /src/list > /out"]
    );
    assert_eq!(ran(&sandbox, &[]), [""; 0]);
    sandbox.write("list", "a\nb\nc\n");
    assert_eq!(ran(&sandbox, &[]).len(), 4, "and a changed one does");
}

#[test]
fn what_only_changes_the_config_reruns_nothing() {
    let sandbox = project();
    let labels = |label: &str| {
        let format = format!("{{{{index .Config.Labels \"{label}\"}}}}");
        sandbox.gantry(["inspect", "-f", &format, "app"]).success().stdout
    };
    edit(&sandbox, "LABEL a=1", "LABEL a=2");
    edit(&sandbox, "ENV AFTER=1", "ENV AFTER=2\nLABEL b=3\nEXPOSE 80\nUSER 1\nSTOPSIGNAL SIGINT");
    edit(&sandbox, "CMD [\"cat\"", "CMD [\"head\"");
    assert_eq!(ran(&sandbox, &["-t", "other:tag", "--label", "c=4"]), [""; 0]);
    assert_eq!(labels("b"), "3\n", "the image is another one all the same");
    assert_eq!(labels("c"), "4\n");
    sandbox.gantry(["inspect", "other:tag"]).success();
    edit(&sandbox, "ENV BEFORE=1", "ENV BEFORE=2");
    assert_eq!(ran(&sandbox, &[]), ["[build 3/3] RUN sort /src/list > /out"]);
}

#[test]
fn times_of_files_count_for_nothing() {
    let sandbox = project();
    for name in ["list", "tool", "Dockerfile"] {
        let file = fs_err::OpenOptions::new().append(true).open(sandbox.project().join(name));
        let time = SystemTime::now() - Duration::from_secs(86400);
        file.unwrap().file().set_modified(time).unwrap();
    }
    assert_eq!(ran(&sandbox, &[]), [""; 0]);
    // The same content under another inode, as a fresh checkout has it.
    fs_err::remove_file(sandbox.project().join("list")).unwrap();
    sandbox.write("list", "a\nb\n");
    assert_eq!(ran(&sandbox, &[]), [""; 0]);
}

#[test]
fn with_stable_modes_a_umask_counts_for_nothing_and_the_x_bit_does() {
    let sandbox = project();
    let chmod = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(sandbox.project().join("tool"), permissions).unwrap();
    };
    let copy = "[build 2/3] COPY list tool /src/";
    // What is 644 already is what it would be.
    assert_eq!(ran(&sandbox, &["--stable-modes"]), [""; 0]);
    for mode in [0o600, 0o664, 0o666] {
        chmod(mode);
        assert_eq!(ran(&sandbox, &["--stable-modes"]), [""; 0], "{mode:o}");
    }
    assert_eq!(ran(&sandbox, &[])[0], copy, "without the flag it counts");
    chmod(0o775);
    assert_eq!(ran(&sandbox, &["--stable-modes"])[0], copy);
    chmod(0o700);
    assert_eq!(ran(&sandbox, &["--stable-modes"]), [""; 0]);
    sandbox.write("show", "FROM busybox\nCOPY tool /\n");
    sandbox.gantry(["build", "--stable-modes", "-f", "show", "-t", "show", "."]).success();
    let mode =
        sandbox.gantry(["run", "--rm", "--network", "none", "show", "stat", "-c", "%a", "/tool"]);
    assert_eq!(mode.success().stdout, "755\n", "and it is what the files get");
}

/// F9: a commit that somebody with another umask checked out, and whose files belong to another user.
#[test]
fn f9_with_stable_modes_each_checkout_of_a_commit_is_the_same() {
    let text =
        "FROM busybox\nCOPY . /all/\nCOPY --from=tools bin/ /bin/\nRUN ls -lR /all > /list\n";
    let sandbox = Sandbox::with([
        ("repository/Dockerfile", text),
        ("repository/.dockerignore", ".git\n"),
        ("repository/a/b/c", "c"),
        ("repository/bin/tool", "#!/bin/sh\n"),
    ])
    .with_busybox();
    let shell = |script: &str| {
        let output = std::process::Command::new("sh")
            .args(["-ec", script])
            .current_dir(sandbox.project())
            .env("HOME", sandbox.project())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    shell(
        "cd repository; chmod 755 bin/tool; git init -q .; git add -A\n\
         git -c user.name=n -c user.email=e commit -qm first",
    );
    for (umask, checkout) in [("022", "one"), ("002", "two"), ("077", "three")] {
        shell(&format!("umask {umask}; git clone -q repository {checkout}"));
    }
    if rustix::process::geteuid().is_root() {
        shell("chown -R 4321:1234 two");
    }
    let built = |checkout: &str, flags: &[&str]| {
        let tools = format!("tools={checkout}");
        let build = ["build", "-t", "app", "--build-context", &tools];
        sandbox.gantry_words(&[&build, flags, &[checkout]].concat()).success();
        let id = sandbox.gantry(["inspect", "-f", "{{.Id}}", "app"]).success().stdout;
        (id, ran_last(&sandbox))
    };
    let (first, ran) = built("one", &["--stable-modes"]);
    assert_eq!(ran.len(), 3);
    for checkout in ["two", "three"] {
        assert_eq!(built(checkout, &["--stable-modes"]), (first.clone(), vec![]), "{checkout}");
    }
    assert_eq!(built("three", &[]).1.len(), 3, "without the flag they are others");
}

/// F9: what gets its mode from the instruction may have any before, directories too.
#[test]
fn f9_with_a_chmod_the_modes_of_the_source_count_for_nothing() {
    let text = |flags: &str| {
        format!(
            "FROM busybox AS base\nARG MODE=600\n\
             RUN mkdir /s && echo x > /s/f && chmod $MODE /s/f && touch -d @0 /s/f /s\n\
             FROM busybox\nCOPY --chmod={flags} d /d\nADD --chmod={flags} list /d/\n\
             COPY --chmod={flags} --from=base /s /s\n"
        )
    };
    let octal = text("0751");
    let sandbox = Sandbox::with([("Dockerfile", &*octal), ("d/f", "f"), ("list", "a\n")]);
    let sandbox = sandbox.with_busybox();
    let chmod = |path: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(sandbox.project().join(path), permissions).unwrap();
    };
    assert_eq!(ran(&sandbox, &[]).len(), 4);
    chmod("d", 0o700);
    chmod("d/f", 0o600);
    chmod("list", 0o444);
    assert_eq!(ran(&sandbox, &[]), [""; 0]);
    let again = ran(&sandbox, &["--build-arg", "MODE=640"]);
    assert_eq!(again.len(), 1, "the stage runs, and nothing that takes from it: {again:?}");
    sandbox.write("d/f", "other");
    let changed = ran(&sandbox, &[]);
    assert!(changed[0].ends_with(" COPY --chmod=0751 d /d"), "contents count: {changed:?}");
    let shown = ["run", "--rm", "--network", "none", "app", "stat", "-c", "%a", "/d", "/d/f"];
    // The destination is a new directory and no copy.
    assert_eq!(sandbox.gantry(shown).success().stdout, "755\n751\n");
    // Bits that are left as they are do count.
    sandbox.write("Dockerfile", text("u+w"));
    assert_eq!(ran(&sandbox, &[]).len(), 3);
    chmod("d/f", 0o644);
    let changed = ran(&sandbox, &[]);
    assert!(changed[0].ends_with(" COPY --chmod=u+w d /d"), "{changed:?}");
}
