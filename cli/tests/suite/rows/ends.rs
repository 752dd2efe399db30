//! How a build ends (C7), and what is left of one that failed (F8).

use std::process::Stdio;
use std::time::Duration;

use super::project;
use crate::sandbox::Sandbox;

fn code(sandbox: &Sandbox, flags: &[&str]) -> i32 {
    let status = sandbox.command(["build"]).args(flags).arg(".").stderr(Stdio::null()).status();
    status.unwrap().code().unwrap()
}

#[test]
fn c7_01_success_failure_and_the_steps_own_code() {
    assert_eq!(code(&project("FROM busybox\n"), &[]), 0);
    let failing = project("FROM busybox\nRUN exit 7\n");
    assert_eq!(code(&failing, &[]), 1);
    assert_eq!(code(&failing, &["--propagate-exit-code"]), 7);
    assert_eq!(code(&failing, &["--propagate-exit-code=false"]), 1);
    assert_eq!(code(&project("FROM nothing\n"), &["--propagate-exit-code"]), 1);
}

/// See `robustness::disk` for a disk that is full.
#[test]
fn c7_03_too_little_memory() {
    let text = "FROM busybox\nRUN [\"awk\", \"BEGIN { s = 1; while (1) s = s s }\"]\n";
    let sandbox = project(text);
    let run = sandbox.gantry(["build", "--resource", "memory=20m", "."]);
    let shown = run.to_string();
    if shown.contains("cgroup") || shown.contains("exit code: 1\n") {
        assert!(!crate::sandbox::required("cgroup"), "memory can't be limited: {shown}");
        return crate::eprintln_skip("memory can't be limited here");
    }
    let stderr = run.code(102).stderr;
    assert!(stderr.contains("exit code: 137: cannot allocate memory"), "{stderr}");
}

#[test]
fn c7_04_a_canceled_build() {
    let sandbox = project("FROM busybox\nRUN sleep 60\n");
    let mut child = sandbox
        .command(["build", "--network", "none", "."])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The sandbox, when it goes, looks for processes and mounts that were left.
}

#[test]
fn c7_05_and_06_usage_and_findings() {
    // What isn't on the command line of buildx, and what is wrong with it.
    let fine = project("FROM busybox\n");
    assert_eq!(code(&fine, &["--bogus"]), 125);
    assert_eq!(code(&fine, &["--no-cache=x"]), 125);
    assert_eq!(code(&fine, &["--output=type=x"]), 1);
    assert_eq!(code(&fine, &["another"]), 1);
    let unwise = project("FROM busybox as x\n");
    assert_eq!(code(&unwise, &["--check"]), 1);
    assert_eq!(code(&unwise, &[]), 0);
    assert_eq!(code(&project("# check=error=true\nFROM busybox as x\n"), &[]), 1);
}

/// The test report of a step that failed is there, and so is its exit code (F8).
#[test]
fn f8_files_of_a_step_that_failed() {
    let text = "FROM busybox\nRUN mkdir -p /reports/deep && echo base > /reports/base\n\
        RUN --mount=type=tmpfs,target=/tmp echo '<junit/>' > /reports/deep/junit.xml; \
        ln -s deep/junit.xml /reports/link; rm /reports/base; exit 7\n";
    let sandbox = project(text);
    let flags = ["--propagate-exit-code", "--on-fail-output", "type=local,src=/reports,dest=out"];
    assert_eq!(code(&sandbox, &flags), 7);
    assert_eq!(sandbox.read("out/deep/junit.xml"), b"<junit/>\n");
    assert_eq!(sandbox.read("out/link"), b"<junit/>\n");
    assert!(!sandbox.project().join("out/base").exists(), "the step removed it");
    // One file, and a tar.
    let one = "type=local,src=/reports/deep/junit.xml,dest=one";
    assert_eq!(code(&sandbox, &["--on-fail-output", one]), 1);
    assert_eq!(sandbox.read("one/junit.xml"), b"<junit/>\n");
    assert_eq!(code(&sandbox, &["--on-fail-output", "type=tar,src=reports,dest=r.tar"]), 1);
    let bytes = sandbox.read("r.tar");
    let mut archive = tar::Archive::new(&*bytes);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().any(|name| name == "deep/junit.xml"), "{names:?}");
    // What isn't there is said; nothing of the failed step comes into the cache or the images.
    let shown = sandbox.gantry(["build", "--on-fail-output", "type=local,src=/no,dest=no", "."]);
    let shown = shown.code(1).stderr;
    assert!(shown.contains("The failed step has no `/no` to keep"), "{shown}");
    assert!(shown.contains("exit code: 7"), "{shown}");
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout.lines().count(), 1);
    // And a build that succeeds writes nothing there.
    let fine = project("FROM busybox\nRUN mkdir /reports\n");
    assert_eq!(code(&fine, &["--on-fail-output", "type=local,src=/reports,dest=out"]), 0);
    assert!(!fine.project().join("out").exists());
    let bad = fine.gantry(["build", "--on-fail-output", "src=/x", "."]).code(1).stderr;
    assert!(bad.contains("type is required for output"), "{bad}");
}

/// The classic form, on stdout, as scripts read it; a failure ends with the step's own code.
#[test]
fn a5_10_and_11_the_classic_builders_words() {
    let text = "ARG V=1\nFROM busybox\nENV A=b\nRUN echo hi\nCOPY Dockerfile /\n";
    let sandbox = project(text);
    let build = || sandbox.gantry(["build", "--progress=steps", "-t", "x", "."]).success().stdout;
    let first = build();
    for line in [
        "Step 1/5 : ARG V=1\n ---> ",
        "Step 2/5 : FROM busybox\n ---> ",
        "Step 4/5 : RUN echo hi\n ---> Running in ",
        "\nhi\n ---> Removed intermediate container ",
        "Step 5/5 : COPY Dockerfile /\n ---> ",
        "Successfully built ",
    ] {
        assert!(first.contains(line), "{line}: {first}");
    }
    assert!(first.ends_with("Successfully tagged x:latest\n"), "{first}");
    let id = sandbox.gantry(["images", "-q", "x"]).success().stdout;
    assert!(first.contains(&format!("Successfully built {id}")), "{first}");
    let second = build();
    assert!(second.contains(" ---> Using cache\n"), "{second}");
    let base = sandbox.gantry(["images", "-q", "busybox"]).success().stdout;
    assert!(second.contains(&format!("FROM busybox\n ---> {base}")), "{second}");
    let failing = project("FROM busybox\nRUN echo oh; exit 7\n");
    let printed = failing.gantry(["build", "--progress=steps", "."]).code(7);
    assert!(printed.stdout.ends_with("\noh\n"), "{}", printed.stdout);
    assert_eq!(
        printed.stderr.lines().last(),
        Some("The command '/bin/sh -c echo oh; exit 7' returned a non-zero code: 7"),
        "{}",
        printed.stderr
    );
}

/// Of stages that run at once, the words of the one that fails are the last, wherever it stands.
#[test]
fn a5_11_a_failure_out_of_turn_has_its_words() {
    let sandbox = project(
        "FROM busybox AS a\nRUN sleep 1000\nFROM busybox AS b\nRUN sleep 0.3; echo because; exit 9\n\
         FROM busybox\nCOPY --from=a /x /\nCOPY --from=b /x /\n",
    );
    let printed = sandbox.gantry(["build", "--progress=steps", "--jobs=2", "."]).code(9);
    assert!(
        printed.stdout.contains("Step 2/7 : RUN sleep 1000\n ---> Running in "),
        "{}",
        printed.stdout
    );
    let (_, last) =
        printed.stdout.rsplit_once("Step 4/7 : RUN sleep 0.3; echo because; exit 9\n").unwrap();
    assert!(last.starts_with(" ---> Running in ") && last.ends_with("\nbecause\n"), "{last}");
    let said =
        "The command '/bin/sh -c sleep 0.3; echo because; exit 9' returned a non-zero code: 9\n";
    assert!(printed.stderr.ends_with(said), "{}", printed.stderr);
    // A stage that only has words for the config is a step of the image as well.
    let sandbox =
        project("FROM busybox AS unused\nRUN false\nFROM busybox AS a\nENV A=b\nFROM a\nCMD x\n");
    let shown = sandbox.gantry(["build", "--progress=steps", "."]).success().stdout;
    assert!(
        shown.contains("Step 2/4 : ENV A=b\n") && shown.contains("Step 4/4 : CMD x\n"),
        "{shown}"
    );
}

/// GitHub's runner folds steps, and marks lines of the Dockerfile.
#[test]
fn c6_04_and_08_marks_for_github() {
    let sandbox = Sandbox::with([("app/Dockerfile", "FROM busybox as x\nRUN true\n")]);
    let sandbox = sandbox.with_busybox().env("GITHUB_ACTIONS", "true");
    let fine = sandbox.gantry(["build", "app"]).success().stderr;
    assert!(fine.contains("::group::#") && fine.contains("::endgroup::\n"), "{fine}");
    let mark = "::warning file=app/Dockerfile,line=1,title=FromAsCasing::";
    assert!(fine.contains(mark), "{fine}");
    for words in [&["build", "--check", "app"][..], &["check", "app"]] {
        let checked = sandbox.gantry_words(words).code(1);
        assert!(checked.stderr.contains(mark), "{words:?}: {}", checked.stderr);
        assert!(!checked.stdout.contains("::"), "{words:?}: {}", checked.stdout);
    }
    sandbox.write("app/Dockerfile", "FROM busybox\n\nRUN exit 3\n");
    let failed = sandbox.gantry(["build", "app"]).code(1).stderr;
    let mark = "::error file=app/Dockerfile,line=3::failed to solve: process \"/bin/sh -c exit 3\" \
                did not complete successfully: exit code: 3\n";
    assert!(failed.contains(mark), "{failed}");
    sandbox.write("app/Dockerfile", "FORM busybox\n");
    let failed = sandbox.gantry(["build", "app"]).code(1).stderr;
    assert!(failed.contains("::error file=app/Dockerfile,line=1::"), "{failed}");
    // Elsewhere there are none.
    let quiet = Sandbox::with([("Dockerfile", "FORM x\n")]).gantry(["build", "."]).code(1).stderr;
    assert!(!quiet.contains("::"), "{quiet}");
}
