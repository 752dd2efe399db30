//! What a build says while it runs and at its end (C6), in BuildKit's words; and what its exit code
//! says (C7-06).

use serde_json::Value;

use crate::sandbox::{Sandbox, snapshot};
use crate::terminal::in_terminal;

fn project(dockerfile: &str) -> Sandbox {
    Sandbox::with([("Dockerfile", dockerfile)]).with_busybox()
}

/// For all builds: where no private network can be made, that is one warning more.
const NETWORK: &str = "--network=none";

/// What a build says on stderr, which is all that it says.
fn told(sandbox: &Sandbox, args: &[&str], code: i32) -> String {
    let printed = sandbox.gantry_words(&[args, &[NETWORK]].concat()).code(code);
    assert_eq!(printed.stdout, "");
    printed.stderr
}

#[test]
fn c6_01_plain() {
    let sandbox = project("FROM busybox\nRUN echo hi; printf half\nRUN exit 3\n");
    sandbox.write(".dockerignore", "x\n");
    snapshot!(sandbox.gantry(["build", "--progress=plain", NETWORK, "."]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 49B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 transferring context: 2B done
    #2 DONE [TIME]

    #3 [1/3] FROM docker.io/library/busybox:latest
    #3 CACHED

    #4 [2/3] RUN echo hi; printf half
    #4 [TIME] hi
    #4 [TIME] half
    #4 DONE [TIME]

    #5 [3/3] RUN exit 3
    #5 ERROR: process "/bin/sh -c exit 3" did not complete successfully: exit code: 3
    ------
     > [3/3] RUN exit 3:
    ------
    Dockerfile:3
    --------------------
       1 |     FROM busybox
       2 |     RUN echo hi; printf half
       3 | >>> RUN exit 3
    --------------------
    ERROR: failed to solve: process "/bin/sh -c exit 3" did not complete successfully: exit code: 3
    hint: What it printed last stands above; `--progress=plain` shows all of it
    "#);
    // What runs beside a step that fails is canceled.
    let sandbox = project(
        "FROM busybox AS a\nRUN echo a; sleep 1000\nFROM busybox AS b\nRUN sleep 0.5; exit 3\n\
         FROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n",
    );
    let told = told(&sandbox, &["build", "--jobs=2", "."], 1);
    let number = told.lines().find(|line| line.ends_with("[a 2/2] RUN echo a; sleep 1000"));
    let number = number.and_then(|line| line.split(' ').next()).unwrap();
    assert!(told.contains(&format!("\n{number} CANCELED\n")), "{told}");
    // What never began, and what is nothing, is not told of.
    let named = |text: &str| told.lines().any(|line| line.starts_with('#') && line.contains(text));
    assert!(!named("] COPY") && !named("FROM scratch"), "{told}");
}

#[test]
fn c6_02_titles_of_steps() {
    let sandbox = project("FROM busybox\nONBUILD RUN true\nONBUILD ENV A=b\n");
    sandbox.gantry(["build", "-q", "-t", "triggers", "."]).success();
    let steps = |sandbox: &Sandbox, text: &str, args: &[&str]| -> Vec<String> {
        sandbox.write("Dockerfile", text);
        let words = [&["build", "--progress=plain"][..], args, &["."]].concat();
        let told = sandbox.gantry_words(&words).success().stderr;
        let title = |line: &str| {
            let (_, title) = line.strip_prefix('#')?.split_once(" [")?;
            let own = !title.starts_with("internal]") && !title.starts_with("because: ");
            own.then(|| format!("[{title}"))
        };
        let mut titles: Vec<_> = told.lines().filter_map(title).collect();
        titles.sort();
        titles.dedup();
        titles
    };
    // What counts: FROM, ADD, COPY, RUN and WORKDIR; a single stage has no name.
    let counted = steps(&sandbox, "FROM busybox\nENV A=b\nUSER root\nWORKDIR /$A\nRUN true\n", &[]);
    let base = "FROM docker.io/library/busybox:latest";
    assert_eq!(counted, [&format!("[1/3] {base}"), "[2/3] WORKDIR /b", "[3/3] RUN true"]);
    let text = format!("FROM busybox\n{}", "RUN true\n".repeat(9));
    let ten = steps(&sandbox, &text, &[]);
    assert!(ten.contains(&"[ 9/10] RUN true".to_owned()), "{ten:?}");
    // Stages have their names, or their numbers.
    let text = "FROM busybox AS one\nRUN touch /x\nFROM busybox\nCOPY --from=one /x /\n";
    let stages = steps(&sandbox, text, &[]);
    assert_eq!(
        stages[1..],
        ["[one 2/2] RUN touch /x", "[stage-1 2/2] COPY --from=one /x /"],
        "{stages:?}"
    );
    let triggered = steps(&sandbox, "FROM triggers\nRUN echo $A\n", &[]);
    assert_eq!(triggered[1..], ["[2/3] ONBUILD RUN true", "[3/3] RUN echo b"], "{triggered:?}");
    // With several platforms, each step says for which one, and where it is built.
    let text = "FROM --platform=$BUILDPLATFORM busybox AS made\nARG TARGETARCH\n\
                RUN echo $TARGETARCH > /arch\nFROM scratch\nCOPY --from=made /arch /\n";
    let platforms = steps(&sandbox, text, &["--platform=linux/amd64,linux/arm64", "-o", "out"]);
    let [here, there] = match cfg!(target_arch = "aarch64") {
        true => ["arm64", "amd64"],
        false => ["amd64", "arm64"],
    };
    for title in [
        format!("[linux/{here} made 2/2] RUN echo {here} > /arch"),
        format!("[linux/{here}->{there} made 2/2] RUN echo {there} > /arch"),
        "[linux/amd64 stage-1 1/1] COPY --from=made /arch /".to_owned(),
        "[linux/arm64 stage-1 1/1] COPY --from=made /arch /".to_owned(),
    ] {
        assert!(platforms.contains(&title), "{title}: {platforms:?}");
    }
}

/// All that a terminal of 120 columns was sent.
fn on_terminal(sandbox: &Sandbox, line: &str, code: i32) -> Option<String> {
    let output = in_terminal(sandbox, &format!("{line} {NETWORK}"), "")?;
    let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    assert_eq!(output.status.code(), Some(code), "{text}");
    Some(text)
}

/// What is left standing; of a quick build it is the only picture.
fn last_picture(text: &str) -> &str {
    text.rsplit("\x1b[J").next().unwrap()
}

#[test]
fn c6_03_tty() {
    let lines = "RUN i=0; while test $i -lt 9; do i=$((i + 1)); echo line $i; done; sleep 0.4\n";
    let sandbox = project(&format!("FROM busybox\n{lines}COPY f /\n"));
    sandbox.write("f", "12345");
    let Some(text) = on_terminal(&sandbox, "build .", 0) else { return };
    let pictures: Vec<&str> = text.split("\x1b[J").collect();
    // While a step runs, its last six lines are there.
    let running = pictures.iter().find(|picture| picture.contains("# line 9")).unwrap();
    assert!(running.contains(" => => # line 4\n") && !running.contains("# line 3"), "{running}");
    assert!(running.contains("[+] Building "), "{running}");
    let last = pictures.last().unwrap();
    let rows: Vec<String> = last
        .lines()
        .filter(|line| line.starts_with(" => "))
        .map(|line| line.rsplit_once(' ').unwrap().0.trim_end().to_owned())
        .collect();
    for row in [
        " => [internal] load build definition from Dockerfile",
        " => => transferring dockerfile: 99B",
        " => CACHED [1/3] FROM docker.io/library/busybox:latest",
        " => [internal] load build context",
        " => [3/3] COPY f /",
        " => exporting to image",
        " => => exporting layers",
    ] {
        assert!(rows.contains(&row.to_owned()), "{row}: {last}");
    }
    assert!(last.contains("[+] Building ") && last.contains(" FINISHED\n"), "{last}");
    assert!(!last.contains(" => => # "), "{last}");
    // As many lines as the user wants.
    let fewer = project(&format!("FROM busybox\n{lines}")).env("BUILDKIT_TTY_LOG_LINES", "2");
    let text = on_terminal(&fewer, "build .", 0).unwrap();
    assert!(text.contains("# line 9") && !text.contains("# line 7"), "{text}");
    // Of what failed the last lines and the place follow.
    sandbox.write("Dockerfile", "FROM busybox\nRUN echo because; exit 3\n");
    let text = on_terminal(&sandbox, "build .", 1).unwrap();
    let last = last_picture(&text);
    assert!(last.contains(" => ERROR [2/2] RUN echo because; exit 3 "), "{last}");
    let (_, tail) = last.split_once("------\n > [2/2] RUN echo because; exit 3:\n").unwrap();
    assert!(tail.contains(" because\n------\nDockerfile:2\n"), "{tail}");
}

#[test]
fn c6_04_the_tail_of_a_failure() {
    let text =
        "FROM busybox\nRUN i=0; while test $i -lt 30; do i=$((i + 1)); echo $i; done; exit 4\n";
    let told = told(&project(text), &["build", "."], 1);
    let (_, tail) = told.split_once("\n------\n > [2/2] RUN i=0; while").unwrap();
    let (lines, place) = tail.split_once("\n------\n").unwrap();
    let lines: Vec<&str> =
        lines.lines().skip(1).map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!((lines.len(), lines[0], lines[24]), (25, "6", "30"));
    assert!(place.starts_with(
        "Dockerfile:2\n--------------------\n   1 |     FROM busybox\n   2 | >>> RUN"
    ));
    let error = place.lines().find(|line| line.starts_with("ERROR: ")).unwrap();
    assert!(
        error.starts_with("ERROR: failed to solve: process \"/bin/sh -c i=0; while "),
        "{error}"
    );
    assert!(error.ends_with("exit 4\" did not complete successfully: exit code: 4"), "{error}");
    // Quiet is not silent about a failure.
    let quiet = project(text).gantry(["build", "-q", "."]).code(1);
    assert!(quiet.stderr.starts_with("------\n > [2/2] RUN i=0; while"), "{}", quiet.stderr);
}

#[test]
fn c6_05_rawjson() {
    let sandbox = project("FROM busybox as x\nRUN echo hi; exit 3\n");
    let printed = sandbox.gantry(["build", "--progress=rawjson", NETWORK, "."]).code(1).stderr;
    let json = |line: &str| serde_json::from_str::<Value>(line).ok();
    let all: Vec<Value> = printed.lines().filter_map(json).collect();
    let of = |kind: &str| -> Vec<&Value> {
        all.iter().filter_map(|status| status[kind].as_array()).flatten().collect()
    };
    let vertexes = of("vertexes");
    let run: Vec<_> =
        vertexes.iter().filter(|vertex| vertex["name"] == "[2/2] RUN echo hi; exit 3").collect();
    assert!(run[0]["digest"].as_str().unwrap().starts_with("sha256:"), "{printed}");
    assert_eq!(run[0]["inputs"].as_array().unwrap().len(), 1, "{printed}");
    assert!(run[0].get("started").is_none() && run[1]["started"].is_string(), "{printed}");
    let last = run.last().unwrap();
    assert!(last["completed"].is_string(), "{last}");
    assert!(last["error"].as_str().unwrap().ends_with("exit code: 3"), "{last}");
    let base = vertexes.iter().find(|vertex| vertex["cached"] == true).unwrap();
    assert!(base["name"].as_str().unwrap().starts_with("[1/2] FROM"), "{base}");
    let log = of("logs")[0];
    assert_eq!((&log["stream"], &log["data"]), (&1.into(), &"aGkK".into()), "{log}");
    assert_eq!(log["vertex"], run[0]["digest"]);
    assert!(log["timestamp"].is_string(), "{log}");
    let status = of("statuses")[0];
    assert_eq!(status["id"], "transferring dockerfile:");
    assert_eq!((&status["current"], &status["total"]), (&38.into(), &38.into()));
    let warning = of("warnings")[0];
    let loaded =
        vertexes.iter().find(|vertex| vertex["name"].as_str().unwrap().contains("definition"));
    assert_eq!(warning["vertex"], loaded.unwrap()["digest"]);
    assert_eq!(warning["level"], 1);
    // FromAsCasing: …
    assert!(warning["short"].as_str().unwrap().starts_with("RnJvbUFzQ2FzaW5nOi"), "{warning}");
    assert_eq!(warning["url"], "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
    // After the objects there is the error, as text.
    assert!(printed.contains("ERROR: failed to solve: process"), "{printed}");
}

/// F12: what BuildKit clips after 2 MiB, or at 200 KiB a second, is all there.
#[test]
fn c6_06_logs_are_not_clipped() {
    let sandbox = project("FROM busybox\nRUN seq 1000000 1400000\n");
    let told = told(&sandbox, &["build", "."], 0);
    assert!(!told.contains("clipped"));
    assert_eq!(told.lines().filter(|line| line.starts_with("#4 ")).count(), 400_001 + 2);
    let stored = sandbox.gantry(["builds", "logs", "^0", "2/2"]).success().stdout;
    assert!(stored.len() > 3 << 20, "{}", stored.len());
    let numbers = stored.lines().map(|line| line.parse::<u32>().unwrap());
    assert!(numbers.eq(1_000_000..=1_400_000));
}

#[test]
fn c6_07_colours() {
    let sandbox = || project("FROM busybox\nRUN true\n");
    let coloured = |sandbox: Sandbox, line: &str, code: i32| {
        let text = on_terminal(&sandbox, line, code)?;
        Some(last_picture(&text).to_owned())
    };
    // An empty one is as good as none (no-color.org).
    let colours = || sandbox().env("NO_COLOR", "");
    let Some(text) = coloured(colours(), "build .", 0) else { return };
    assert!(text.contains("\x1b[34m => [2/2] RUN true"), "{text}");
    let text = coloured(sandbox(), "build .", 0).unwrap();
    assert!(!text.contains("\x1b["), "NO_COLOR=1: {text}");
    let chosen = "run=green:warning=yellow:error=255,165,0:cancel=magenta";
    let text = coloured(colours().env("BUILDKIT_COLORS", chosen), "build .", 0).unwrap();
    assert!(text.contains("\x1b[32m => [2/2] RUN true"), "{text}");
    let failing = project("FROM busybox\nRUN false\n").env("NO_COLOR", "");
    let text = coloured(failing.env("BUILDKIT_COLORS", chosen), "build .", 1).unwrap();
    assert!(text.contains("\x1b[38;2;255;165;0m => ERROR [2/2] RUN false"), "{text}");
    let text = coloured(sandbox().env("BUILDKIT_COLORS", chosen), "build .", 0).unwrap();
    assert!(!text.contains("\x1b["), "NO_COLOR comes first: {text}");
    // Without a terminal it is the plain form, without colours.
    let plain = told(&colours(), &["build", "."], 0);
    assert!(plain.starts_with("#1 [internal]") && !plain.contains('\x1b'), "{plain}");
}

#[test]
fn c6_08_warnings() {
    let sandbox = project("FROM busybox as x\nMAINTAINER me\n");
    let brief = told(&sandbox, &["build", "."], 0);
    let (_, summary) = brief.split_once("\n\n 2 warnings found").unwrap();
    assert_eq!(
        summary,
        " (use gantry --debug to expand):\n - FromAsCasing: 'as' and 'FROM' keywords' casing do not \
         match (line 1)\n - MaintainerDeprecated: Maintainer instruction is deprecated in favor of \
         using label (line 2)\n"
    );
    let long = told(&sandbox, &["-D", "build", "."], 0);
    let (_, summary) = long.split_once("\n\n 2 warnings found:\n - FromAsCasing: ").unwrap();
    for part in [
        "(line 1)\nThe 'as' keyword should match the case of the 'from' keyword\nMore info: \
         https://docs.docker.com/go/dockerfile/rule/from-as-casing/\n",
        " --> Dockerfile:1:14\n",
        "\n\n - MaintainerDeprecated: ",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    // After a failure they are told as well, between its last lines and its place.
    sandbox.write("Dockerfile", "FROM busybox as x\nRUN false\n");
    let failed = told(&sandbox, &["build", "."], 1);
    let (_, rest) = failed.split_once("\n------\n\n 1 warning found (use ").unwrap();
    assert!(rest.contains("(line 1)\nDockerfile:2\n----"), "{rest}");
    assert!(!told(&sandbox, &["build", "--progress=quiet", "."], 1).contains("warning"));
}

#[test]
fn c7_06_findings_fail_a_check_and_not_a_build() {
    let sandbox = project("FROM busybox as x\n");
    let checked = sandbox.gantry(["build", "--check", "."]).code(1).stdout;
    assert!(checked.contains("FromAsCasing"), "{checked}");
    sandbox.gantry(["build", "."]).success();
    sandbox.write("Dockerfile", "# check=error=true\nFROM busybox as x\nRUN touch /ran\n");
    let error = told(&sandbox, &["build", "."], 1);
    assert!(error.contains("lint violation found for rules: FromAsCasing"), "{error}");
    assert!(!error.contains("RUN touch"), "nothing runs: {error}");
    sandbox.write("Dockerfile", "FROM busybox AS x\n");
    sandbox.gantry(["build", "--check", "."]).success();
}
