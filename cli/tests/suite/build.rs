//! Building: the plain output, the cache, and what flags are wired to.

use crate::sandbox::{Sandbox, snapshot};

const SIMPLE: &str = "FROM busybox\nRUN echo one > /one\nCOPY hi /hi\nCMD [\"cat\", \"/hi\"]\n";

fn simple() -> Sandbox {
    Sandbox::with([("Dockerfile", SIMPLE), ("hi", "there\n")]).with_busybox()
}

#[test]
fn a_build_shows_its_steps_and_tags_its_image() {
    // One step after the other, so that their order is always the same.
    let text = "FROM busybox\nRUN echo one | tee /one\nWORKDIR /w\nCMD [\"cat\", \"/one\"]\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    snapshot!(sandbox.gantry(["build", "--network", "none", "-t", "app", "-t", "app:2", "."]), @"
    exit: 0
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 68B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 DONE [TIME]

    #3 [1/3] FROM docker.io/library/busybox:latest
    #3 CACHED

    #4 [2/3] RUN echo one | tee /one
    #4 [TIME] one
    #4 DONE [TIME]

    #5 [3/3] WORKDIR /w
    #5 DONE [TIME]

    #6 exporting to image
    #6 exporting layers
    #6 exporting layers done
    #6 writing image [DIGEST] done
    #6 naming to docker.io/library/app:latest done
    #6 naming to docker.io/library/app:2 done
    #6 DONE [TIME]
    ");
    let names = sandbox.gantry(["images", "--format", "{{.Repository}}:{{.Tag}}", "app"]);
    assert_eq!(names.success().stdout, "app:2\napp:latest\n");
    assert_eq!(sandbox.gantry(["run", "--rm", "app"]).success().stdout, "one\n");
}

#[test]
fn an_unchanged_context_runs_nothing_twice() {
    let sandbox = simple();
    let first = sandbox.gantry(["build", "-q", "."]).success().stdout;
    let second = sandbox.gantry(["build", "-t", "named", "."]).success().stderr;
    assert_eq!(second.matches(" CACHED\n").count(), 3, "{second}");
    assert_eq!(sandbox.gantry(["build", "-q", "."]).success().stdout, first);
    sandbox.write("hi", "changed\n");
    let third = sandbox.gantry(["build", "."]).success().stderr;
    assert!(third.contains("[2/3] RUN echo one > /one\n") && third.contains("CACHED"), "{third}");
    assert!(!third.contains("[3/3] COPY hi /hi\n#4 CACHED"), "{third}");
}

#[test]
fn quiet_prints_the_image_id_and_nothing_else() {
    let sandbox = simple();
    snapshot!(sandbox.gantry(["build", "-q", "."]), @"
    exit: 0
    ----- stdout -----
    [DIGEST]
    ----- stderr -----
    ");
    let id = sandbox.gantry(["build", "-q", "--iidfile", "id", "."]).success().stdout;
    assert_eq!(sandbox.read("id"), id.trim_end().as_bytes(), "no newline in the file");
}

#[test]
fn the_iidfile_of_a_failed_build_is_gone() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM busybox\nRUN false\n"), ("id", "old")]);
    let sandbox = sandbox.with_busybox();
    let _ = sandbox.gantry(["build", "--iidfile", "id", "."]).code(1);
    assert!(!sandbox.project().join("id").exists());
}

#[test]
fn the_metadata_file_names_digests() {
    let sandbox = simple();
    let id =
        sandbox.gantry(["build", "-q", "-t", "app", "--metadata-file", "m", "."]).success().stdout;
    let metadata: serde_json::Value = serde_json::from_slice(&sandbox.read("m")).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], id.trim());
    assert_eq!(metadata["image.name"], "docker.io/library/app:latest");
    assert!(metadata["containerimage.digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn build_arguments_labels_and_targets_are_wired() {
    let text = "FROM busybox AS one\nARG A=default\nRUN echo $A > /a\nFROM one AS two\nRUN false\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox().env("B", "from outside");
    let build = |args: [&str; 2]| {
        let [flag, value] = args;
        sandbox.gantry(["build", "-t", "x", "--target", "one", flag, value, "."]).success();
        sandbox.gantry(["run", "--rm", "x", "cat", "/a"]).success().stdout
    };
    assert_eq!(build(["--label", "k=v"]), "default\n");
    assert_eq!(build(["--build-arg", "A=given"]), "given\n");
    let labels =
        sandbox.gantry(["build", "-q", "--target", "one", "--label", "k=v", "-t", "y", "."]);
    labels.success();
    let label = sandbox.gantry(["inspect", "-f", "{{index .Config.Labels \"k\"}}", "y"]);
    assert_eq!(label.success().stdout, "v\n");
}

#[test]
fn no_cache_runs_everything_again() {
    let sandbox = simple();
    sandbox.gantry(["build", "."]).success();
    let again = sandbox.gantry(["build", "--no-cache", "."]).success().stderr;
    // The base image is not a step that could run.
    assert!(again.matches(" CACHED\n").count() <= 1, "{again}");
    let error =
        sandbox.gantry(["build", "--no-cache", "--no-cache-filter", "a", "."]).code(1).stderr;
    assert_eq!(
        error,
        "ERROR: --no-cache and --no-cache-filter cannot currently be used together\n"
    );
}

#[test]
fn dockerfiles_come_from_stdin_elsewhere_and_other_names() {
    let sandbox = Sandbox::with([
        ("other/Containerfile", "FROM busybox\nCMD [\"echo\", \"containerfile\"]\n"),
        ("outside.Dockerfile", "FROM busybox\nCOPY in /in\nCMD [\"cat\", \"/in\"]\n"),
        ("context/in", "from the context\n"),
    ])
    .with_busybox();
    let run = || sandbox.gantry(["run", "--rm", "x"]).success().stdout;
    sandbox.gantry(["build", "-t", "x", "other"]).success();
    assert_eq!(run(), "containerfile\n");
    sandbox.gantry(["build", "-t", "x", "-f", "outside.Dockerfile", "context"]).success();
    assert_eq!(run(), "from the context\n");
    let text = b"FROM busybox\nCMD [\"echo\", \"stdin\"]\n";
    sandbox.gantry_with_input(["build", "-t", "x", "-"], text).success();
    assert_eq!(run(), "stdin\n");
    let text = b"FROM busybox\nCOPY in /\nCMD [\"cat\", \"/in\"]\n";
    sandbox.gantry_with_input(["build", "-t", "x", "-f", "-", "context"], text).success();
    assert_eq!(run(), "from the context\n");
}

#[test]
fn a_tar_on_stdin_is_a_context() {
    let sandbox = Sandbox::new().with_busybox();
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in
        [("Dockerfile", "FROM busybox\nCOPY f /f\nCMD [\"cat\", \"/f\"]\n"), ("f", "in the tar\n")]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    sandbox.gantry_with_input(["build", "-t", "x", "-"], &tar).success();
    assert_eq!(sandbox.gantry(["run", "--rm", "x"]).success().stdout, "in the tar\n");
}

#[test]
fn secrets_reach_the_step_and_no_further() {
    let text = "FROM busybox\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s\n";
    let sandbox = Sandbox::with([("Dockerfile", text), ("secret", "swordfish")]).with_busybox();
    let run = sandbox.gantry(["build", "--secret", "id=s,src=secret", "-t", "x", "."]).success();
    assert!(run.stderr.contains(" 9\n"), "{}", run.stderr);
    sandbox.gantry(["save", "-o", "x.tar", "x"]).success();
    let tar = String::from_utf8_lossy(&sandbox.read("x.tar")).into_owned();
    assert!(!tar.contains("swordfish"));
}

#[test]
fn warnings_are_summed_up_and_explained_on_request() {
    let text = "FROM busybox\nMAINTAINER me\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    let brief = sandbox.gantry(["build", "."]).success().stderr;
    assert!(brief.contains("\n 1 warning found (use gantry --debug to expand):\n"), "{brief}");
    assert!(brief.contains(" - MaintainerDeprecated: "), "{brief}");
    let long = sandbox.gantry(["--debug", "build", "."]).success().stderr;
    assert!(long.contains(" --> Dockerfile:2:1\n"), "{long}");
}

#[test]
fn rawjson_is_one_object_a_line() {
    let sandbox = simple();
    let lines = sandbox.gantry(["build", "--progress", "rawjson", "."]).success().stderr;
    let statuses: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cached =
        |status: &serde_json::Value| status["vertexes"][0]["name"].as_str().map(str::to_owned);
    assert!(statuses.iter().filter_map(cached).any(|name| name == "[3/3] COPY hi /hi"), "{lines}");
    let quiet = sandbox.env("BUILDKIT_PROGRESS", "none").gantry(["build", "."]).success();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn other_spellings_build_as_well() {
    let sandbox = simple();
    let id = sandbox.gantry(["build", "-q", "."]).success().stdout;
    for group in ["image", "builder", "buildx"] {
        assert_eq!(sandbox.gantry([group, "build", "-q", "."]).success().stdout, id, "{group}");
    }
}
