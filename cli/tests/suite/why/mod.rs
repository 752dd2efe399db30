//! Why steps ran: `gantry why`, the short form in plain progress, and dry runs.

mod inputs;

use serde_json::Value;

use crate::sandbox::Sandbox;

const DOCKERFILE: &str = "FROM busybox AS build\n\
    ARG VERSION=1\n\
    ENV MODE=fast\n\
    WORKDIR /src\n\
    COPY src .\n\
    RUN cat */* > /out; echo $VERSION $MODE\n\
    FROM busybox\n\
    COPY --from=build /out /out\n\
    RUN wc -c /out\n";

fn project() -> Sandbox {
    let sandbox =
        Sandbox::with([("Dockerfile", DOCKERFILE), ("src/a/one", "1"), ("src/b/two", "2")])
            .with_busybox();
    sandbox.gantry(["build", "."]).success();
    sandbox
}

fn why(sandbox: &Sandbox, step: &str) -> Value {
    let words: &[&str] = if step.is_empty() { &[] } else { &[step] };
    let words = [&["why", "--format", "json"][..], words].concat();
    serde_json::from_str(&sandbox.gantry_words(&words).success().stdout).unwrap()
}

/// Kind, name and change of each difference of a step.
fn differences(sandbox: &Sandbox, step: &str) -> Vec<String> {
    let found = why(sandbox, step);
    let differences =
        found["steps"][0]["differences"].as_array().unwrap_or_else(|| panic!("{found}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |d: &Value| {
        let words = ["kind", "name", "part", "change"].map(|name| text(&d[name]));
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    differences.iter().map(one).collect()
}

fn edit(sandbox: &Sandbox, from: &str, to: &str) {
    let text = String::from_utf8(sandbox.read("Dockerfile")).unwrap();
    assert!(text.contains(from));
    sandbox.write("Dockerfile", text.replace(from, to));
}

#[test]
fn a_first_build_has_never_run_before_and_a_second_runs_nothing() {
    let sandbox = project();
    let found = why(&sandbox, "");
    let steps = found["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5, "{found}");
    assert!(steps.iter().all(|step| step["reason"] == "new"), "{found}");
    let progress = sandbox.gantry(["build", "--progress=plain", "."]).success().stderr;
    assert!(!progress.contains("because"), "{progress}");
    let text = sandbox.gantry(["why"]).success().stdout;
    assert_eq!(text, "Every step came from the cache\n");
    let text = sandbox.gantry(["why", "wc"]).success().stdout;
    assert!(text.contains("RUN wc -c /out\n  It came from the cache\n"), "{text}");
}

#[test]
fn a_changed_file_is_named_and_who_follows_says_whom() {
    let sandbox = project();
    sandbox.write("src/a/one", "other");
    let progress = sandbox.gantry(["build", "--progress=plain", "."]).success().stderr;
    assert!(progress.contains(" COPY src .\n"), "{progress}");
    assert!(progress.contains(" [because: `src/a/one` changed]\n"), "{progress}");
    assert_eq!(differences(&sandbox, "COPY src"), ["file src/a/one content changed"]);
    let text = sandbox.gantry(["why"]).success().stdout;
    for line in [
        "  File src/a/one of [internal] load build context: content changed\n",
        "  Only because a step before it ran: [build 3/4] COPY src .\n",
        "  File out of [build 4/4] RUN cat */* > /out; echo 1 fast: content changed\n",
        "  Only because a step before it ran: [stage-1 2/3] COPY --from=build /out /out\n",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    assert_eq!(why(&sandbox, "wc")["steps"][0]["reason"], "parent");
    assert_eq!(differences(&sandbox, "stage-1 2/3"), ["file out content changed"]);
}

#[test]
fn one_of_many_files_is_named_and_no_other() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY . /\n")]);
    for n in 0..2000 {
        sandbox.write(&format!("d{}/f{n}", n % 40), n.to_string());
    }
    sandbox.gantry(["build", "."]).success();
    sandbox.write("d7/f1047", "touched");
    sandbox.gantry(["build", "."]).success();
    assert_eq!(differences(&sandbox, "COPY"), ["file d7/f1047 content changed"]);
}

#[test]
fn files_that_come_go_and_change_their_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = project();
    sandbox.write("src/a/new", "n");
    sandbox.gantry(["build", "."]).success();
    assert_eq!(differences(&sandbox, "COPY src"), ["file src/a/new added"]);
    fs_err::remove_file(sandbox.project().join("src/b/two")).unwrap();
    sandbox.write("src/b/three", "2");
    sandbox.gantry(["build", "."]).success();
    assert_eq!(
        differences(&sandbox, "COPY src"),
        ["file src/b/three added", "file src/b/two removed"]
    );
    let path = sandbox.project().join("src/a/one");
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.gantry(["build", "."]).success();
    assert_eq!(differences(&sandbox, "COPY src"), ["file src/a/one mode changed"]);
    let text = sandbox.gantry(["why", "COPY src"]).success().stdout;
    assert!(text.contains("mode changed: \"644\" is now \"755\"\n"), "{text}");
}

#[test]
fn another_owner_of_a_stages_file_is_told() {
    let text = "FROM busybox AS made\nARG WHO=0:0\nRUN echo x > /f && chown $WHO /f\n\
        FROM busybox\nCOPY --from=made /f /f\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    for who in ["WHO=0:0", "WHO=3:4"] {
        sandbox.gantry(["build", "--build-arg", who, "."]).success();
    }
    let found = differences(&sandbox, "COPY");
    assert_eq!(found, ["file f gid changed", "file f uid changed"]);
    let text = sandbox.gantry(["why", "COPY"]).success().stdout;
    assert!(text.contains("f: owner (uid)"), "{text}");
}

#[test]
fn variables_arguments_commands_and_mounts_are_named() {
    let sandbox = project();
    sandbox.gantry(["build", "--build-arg", "VERSION=2", "."]).success();
    assert!(differences(&sandbox, "RUN cat").contains(&"arg VERSION changed".to_owned()));
    let text = sandbox.gantry(["why", "RUN cat"]).success().stdout;
    assert!(text.contains("  ARG VERSION: changed: \"1\" is now \"2\"\n"), "{text}");
    edit(&sandbox, "MODE=fast", "MODE=slow");
    sandbox.gantry(["build", "."]).success();
    assert!(differences(&sandbox, "RUN cat").contains(&"env MODE changed".to_owned()));
    edit(&sandbox, "wc -c", "wc -l");
    sandbox.gantry(["build", "."]).success();
    assert_eq!(differences(&sandbox, "RUN wc"), ["command command changed"]);
    edit(&sandbox, "RUN wc", "RUN --mount=type=tmpfs,target=/scratch wc");
    sandbox.gantry(["build", "."]).success();
    assert_eq!(differences(&sandbox, "wc -l"), ["mount /scratch added"]);
}

#[test]
fn values_of_variables_that_sound_secret_are_not_shown() {
    let text = "FROM busybox\nARG API_TOKEN\nRUN true\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    for value in ["API_TOKEN=hush1", "API_TOKEN=hush2"] {
        sandbox.gantry(["build", "--build-arg", value, "."]).success();
    }
    assert_eq!(differences(&sandbox, "RUN"), ["arg API_TOKEN changed"]);
    let text = sandbox.gantry(["why", "--format", "json"]).success().stdout;
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn another_base_image_is_told() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM base\nRUN true\n")]).with_busybox();
    sandbox.gantry(["tag", "busybox", "base"]).success();
    sandbox.gantry(["build", "."]).success();
    sandbox.write("other", "FROM busybox\nENV X=1\n");
    sandbox.gantry(["build", "-f", "other", "-t", "base", "."]).success();
    sandbox.gantry(["build", "."]).success();
    let found = differences(&sandbox, "RUN true");
    assert!(found.contains(&"base-image base config changed".to_owned()), "{found:?}");
}

#[test]
fn what_was_pruned_or_not_to_be_cached_says_so() {
    let sandbox = project();
    sandbox.gantry(["prune", "-a", "-f"]).success();
    sandbox.gantry(["build", "--progress=plain", "."]).success();
    let found = why(&sandbox, "COPY src");
    assert_eq!(found["steps"][0]["reason"], "gone", "{found}");
    assert_eq!(found["steps"][0]["pruned"], "nothing uses it");
    sandbox.gantry(["build", "--no-cache", "."]).success();
    assert_eq!(why(&sandbox, "COPY src")["steps"][0]["reason"], "no-cache");
}

#[test]
fn another_projects_steps_are_no_reason() {
    let sandbox = project();
    sandbox.write("elsewhere/Dockerfile", "FROM busybox\nWORKDIR /x\nRUN echo something else\n");
    sandbox.gantry(["build", "elsewhere"]).success();
    let found = why(&sandbox, "something");
    assert_eq!(found["steps"][0]["reason"], "new", "{found}");
}

#[test]
fn a_dry_run_says_what_would_run_and_leaves_everything_as_it_is() {
    let sandbox = project();
    let dry = || sandbox.gantry(["build", "--dry-run", "."]).success().stdout;
    assert!(dry().ends_with("0 of 2 steps would run\n"), "{}", dry());
    sandbox.write("src/a/one", "other");
    let before = tree(&sandbox);
    let plan = dry();
    assert_eq!(tree(&sandbox), before, "a dry run wrote something");
    for line in [
        "cached   [build 2/4] WORKDIR /src\n",
        "runs     [build 3/4] COPY src .\n           File src/a/one",
        "runs     [build 4/4] RUN cat */* > /out; echo 1 fast\n",
        "may run  [stage-1 2/3] COPY --from=build /out /out\n           What it takes from [build 4/4]",
        "may run  [stage-1 3/3] RUN wc -c /out\n",
        "2 of 5 steps would run, and 2 more may\n",
    ] {
        assert!(plan.contains(line), "{line} is missing in:\n{plan}");
    }
    let json = sandbox.gantry(["build", "--dry-run=json", "."]).success().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["steps"][1]["fate"], "runs");
    assert_eq!(json["steps"][1]["differences"][0]["name"], "src/a/one");
    // And it was right.
    sandbox.gantry(["build", "."]).success();
    assert_eq!(why(&sandbox, "")["steps"].as_array().unwrap().len(), 4);
}

/// Every path of the store with its size and time, but for the database's own files.
fn tree(sandbox: &Sandbox) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![sandbox.store()];
    while let Some(directory) = directories.pop() {
        for entry in fs_err::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs_err::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                directories.push(path);
            } else if !path.to_string_lossy().contains("gantry.db-") {
                found.push(format!(
                    "{path:?} {} {:?}",
                    metadata.len(),
                    metadata.modified().unwrap()
                ));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_time_is_accounted_for() {
    let sandbox = project();
    let said = sandbox.gantry(["build", "--no-cache", "--timing", "."]).success().stderr;
    for line in ["Critical path", "Writing outputs", "QUEUED", "RUN cat */*"] {
        assert!(said.contains(line), "{line} is missing in:\n{said}");
    }
    let shown = sandbox.gantry(["builds", "show"]).success().stdout;
    assert!(shown.contains("Critical path"), "{shown}");
}
