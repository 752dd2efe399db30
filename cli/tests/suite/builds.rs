//! The history of builds: what is remembered, shown, printed and forgotten.

use serde_json::Value;

use crate::interrupt::{signal, start};
use crate::sandbox::Sandbox;

fn built() -> Sandbox {
    let text = "FROM busybox\nARG TOKEN\nRUN echo out; echo err >&2; printf end\nRUN true\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "-t", "app", "--build-arg", "TOKEN=s3cr3t", "."]).success();
    sandbox
}

fn ids(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.gantry(["builds", "ls", "-q"]).success().stdout;
    listed.lines().map(str::to_owned).collect()
}

fn show(sandbox: &Sandbox, build: &str) -> Value {
    let shown = sandbox.gantry(["builds", "show", "--format", "json", build]).success().stdout;
    serde_json::from_str(&shown).unwrap()
}

/// Status and title of the steps that the Dockerfile has.
fn steps(record: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    record["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| ["run", "copy", "make-dir"].contains(&step["kind"].as_str().unwrap()))
        .map(|step| (text(&step["status"]), text(&step["title"])))
        .collect()
}

fn pair(status: &str, title: &str) -> (String, String) {
    (status.to_owned(), title.to_owned())
}

#[test]
fn a_build_is_remembered_with_its_inputs_and_steps() {
    let sandbox = built();
    let record = show(&sandbox, "^0");
    assert_eq!(record["outcome"], "completed");
    assert_eq!(record["args"], serde_json::json!(["TOKEN"]));
    assert_eq!(record["tags"], serde_json::json!(["app:latest"]));
    assert!(record["context"].as_str().unwrap().ends_with("/project"));
    assert!(record["image"].as_str().unwrap().starts_with("sha256:"));
    let run = "[2/3] RUN echo out; echo err >&2; printf end";
    assert_eq!(steps(&record), [pair("ran", run), pair("ran", "[3/3] RUN true")]);
    assert!(record["timing"]["total_us"].as_u64().unwrap() > 0);

    sandbox.gantry(["build", "-t", "app", "--build-arg", "TOKEN=s3cr3t", "."]).success();
    let again = show(&sandbox, &ids(&sandbox)[0][..6]);
    assert_eq!(steps(&again), [pair("cached", run), pair("cached", "[3/3] RUN true")]);
    assert_eq!(again["image"], record["image"]);
    assert_eq!(show(&sandbox, "^1")["id"], record["id"]);
}

#[test]
fn values_of_arguments_and_secrets_are_not_remembered() {
    let text = "FROM busybox\nARG TOKEN\n\
                RUN --mount=type=secret,id=key,env=KEY test \"$KEY\" = hushhush; false\n";
    let sandbox = Sandbox::with([("Dockerfile", text), ("key", "hushhush")]).with_busybox();
    let secret = ["--secret", "id=key,src=key", "--build-arg", "TOKEN=s3cr3t"];
    sandbox.gantry_words(&[&["build", "."][..], &secret].concat()).code(1);
    let dir = sandbox.store().join("builds");
    let mut seen = 0;
    for entry in fs_err::read_dir(dir).unwrap() {
        let text = fs_err::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("TOKEN") && !text.contains("s3cr3t"), "{text}");
        seen += 1;
    }
    assert_eq!(seen, 1);
}

#[test]
fn failed_and_canceled_builds_and_bad_dockerfiles_are_remembered_too() {
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM busybox\nRUN echo before; exit 3\nRUN true\n"),
        ("bad", "FROM\n"),
    ])
    .with_busybox();
    sandbox.gantry(["build", "."]).code(1);
    sandbox.gantry(["build", "-f", "bad", "."]).code(1);
    let listed = sandbox.gantry(["builds", "ls", "--format", "{{.Status}} {{.Dockerfile}}"]);
    assert_eq!(listed.success().stdout, "Error bad\nError Dockerfile\n");
    let record = show(&sandbox, "^1");
    assert_eq!(steps(&record), [pair("failed", "[2/3] RUN echo before; exit 3")]);
    assert!(record["error"].as_str().unwrap().contains("exit code: 3"), "{record}");
    // What a failed step printed is what one wants to read most.
    let printed = sandbox.gantry(["builds", "logs", "^1", "RUN echo"]).success().stdout;
    assert_eq!(printed, "before\n");
    let shown = sandbox.gantry(["builds", "show", "^1"]).success().stdout;
    assert!(shown.contains("\nError:\n") && shown.contains("exit code: 3"), "{shown}");
}

#[test]
fn logs_are_whole_and_have_times() {
    let text = "FROM busybox\nRUN seq 1 300000; head -c 3000000 /dev/zero | tr '\\0' x\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "--progress=quiet", "."]).success();
    let printed = sandbox.gantry(["builds", "logs", "^0", "2/2"]).success().stdout;
    let mut expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    expected.push_str(&"x".repeat(3_000_000));
    assert!(printed == expected, "{} instead of {} bytes", printed.len(), expected.len());

    let timed = sandbox.gantry(["builds", "logs", "-t", "^0", "2/2"]).success().stdout;
    assert_eq!(timed.lines().count(), 300_001);
    let (time, line) = timed.lines().next().unwrap().split_once(' ').unwrap();
    assert_eq!(line, "1");
    assert!(time.starts_with("20") && time.ends_with('Z') && time.contains('T'), "{time}");
}

#[test]
fn logs_of_a_chatty_step_are_whole() {
    let rest = "-".repeat(94);
    let text = format!(
        "FROM busybox\nRUN seq 1 200000 | sed 's/$/{rest}/'\n\
         RUN seq 1 200000 | sed 's/$/{rest}/' >&2; echo failed >&2; exit 1\n"
    );
    let sandbox = Sandbox::with([("Dockerfile", text.as_str())]).with_busybox();
    let built = sandbox.gantry(["build", "--progress=quiet", "."]).code(1);
    let expected: String = (1..=200_000).map(|n| format!("{n}{rest}\n")).collect();
    assert!(expected.len() > 20_000_000);
    for (step, end) in [("2/3", ""), ("3/3", "failed\n")] {
        let logged = sandbox.gantry(["builds", "logs", "^0", step]).success();
        let printed = logged.stdout;
        let whole = printed.strip_suffix(end) == Some(&expected);
        assert!(whole, "{step}: {} instead of {} bytes", printed.len(), expected.len());
    }
    // Of the failed one, its last lines are shown as well.
    let shown: Vec<&str> = built.stderr.lines().filter(|line| line.ends_with(&rest)).collect();
    assert_eq!(shown.len(), 24, "{shown:?}");
    assert!(shown[0].ends_with(&format!(" 199977{rest}")), "{}", shown[0]);
    assert!(built.stderr.contains(" failed\n"), "{}", built.stderr);
}

#[test]
fn logs_of_a_build_show_every_step_and_of_a_cached_one_what_it_printed_then() {
    let sandbox = built();
    sandbox.gantry(["build", "--build-arg", "TOKEN=s3cr3t", "."]).success();
    let all = sandbox.gantry(["builds", "logs", "^1"]).success().stdout;
    for line in ["[2/3] RUN echo out", "out", "err", "end", "DONE"] {
        assert!(all.contains(line), "{line} is missing in {all}");
    }
    let cached = sandbox.gantry(["builds", "logs"]).success().stdout;
    assert!(cached.contains("CACHED") && !cached.contains(" err\n"), "{cached}");
    let printed = sandbox.gantry(["builds", "logs", "^0", "2/3"]).success().stdout;
    assert!(printed.contains("out\n") && printed.contains("err\n"), "{printed}");
    let same = sandbox.gantry(["buildx", "history", "logs", "^0", "2/3"]).success().stdout;
    assert_eq!(same, printed);
}

#[test]
fn steps_are_named_by_number_or_text_and_mistakes_are_told() {
    let sandbox = built();
    let refused = |step: &str| sandbox.gantry(["builds", "logs", "^0", step]).code(1).stderr;
    assert!(refused("99").contains("There is no step #99"));
    assert!(refused("RUN").contains("in the titles of several steps"));
    assert!(refused("nothing").contains("There is no step `nothing`"));
    assert!(sandbox.gantry(["builds", "show", "^9"]).code(1).stderr.contains("No such build: ^9"));
    assert!(sandbox.gantry(["builds", "rm"]).code(125).stderr.contains("--all"));
    let empty = Sandbox::new();
    assert!(empty.gantry(["builds", "show"]).code(1).stderr.contains("There is no build"));
    assert_eq!(empty.gantry(["builds", "ls", "-q"]).success().stdout, "");
    assert!(!empty.store().exists());
}

#[test]
fn forgotten_builds_take_their_logs_along_unless_the_cache_has_them() {
    let sandbox =
        Sandbox::with([("Dockerfile", "FROM busybox\nRUN echo kept\nRUN echo gone; false\n")])
            .with_busybox();
    sandbox.gantry(["build", "."]).code(1);
    let logs = || fs_err::read_dir(sandbox.store().join("logs")).unwrap().count();
    assert_eq!(logs(), 2);
    let id = ids(&sandbox).remove(0);
    assert_eq!(
        sandbox.gantry(["buildx", "history", "rm", &id]).success().stdout,
        format!("{id}\n")
    );
    assert_eq!(logs(), 1, "the cached step's");
    assert_eq!(ids(&sandbox), [] as [&str; 0]);
    sandbox.gantry(["build", "."]).code(1);
    sandbox.gantry(["builds", "rm", "--all"]).success();
    assert_eq!(ids(&sandbox), [] as [&str; 0]);
    sandbox.gantry(["fsck", "--deep"]).success();
}

/// ID, status, name, duration and error of each build, as `--format json` has them.
fn listed(sandbox: &Sandbox) -> Vec<[String; 5]> {
    let listed = sandbox.gantry(["builds", "ls", "--format", "json"]).success().stdout;
    let rows = listed.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        ["ID", "Status", "Name", "Duration", "Error"]
            .map(|column| row[column].as_str().unwrap().to_owned())
    });
    rows.collect()
}

#[test]
fn a_running_build_is_listed_and_keeps_its_id_when_it_ends() {
    let text = "FROM busybox\nRUN --mount=type=cache,target=/c \\\n\
                echo started; until test -e /c/go; do sleep 0.1; done\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    let mut child = start(&sandbox, ["build", "-t", "slow", "."], " started\n");
    let running = listed(&sandbox);
    let [[id, status, name, duration, error]] = running.as_slice() else { panic!("{running:?}") };
    assert_eq!([status, name, error], ["Running", "slow:latest", ""]);
    assert!(duration.ends_with('s') && duration != "-", "{duration}");
    assert_eq!(ids(&sandbox), [id.as_str()]);
    let table = sandbox.gantry(["builds", "ls"]).success().stdout;
    let row = table.lines().nth(1).unwrap();
    assert!(row.starts_with(id) && row.contains("Running") && row.contains("-/-"), "{table}");

    let shown = show(&sandbox, &id[..6]);
    assert_eq!((&shown["outcome"], &shown["error"]), (&"running".into(), &Value::Null));
    assert!(sandbox.gantry(["builds", "logs", id]).code(1).stderr.contains("still runs"));
    assert!(sandbox.gantry(["builds", "rm", id]).code(1).stderr.contains("still runs"));
    // What is looked at without a name has ended.
    assert!(sandbox.gantry(["builds", "show"]).code(1).stderr.contains("no build"));

    let mount = fs_err::read_dir(sandbox.store().join("mounts")).unwrap().next().unwrap();
    fs_err::write(mount.unwrap().path().join("0/go"), "").unwrap();
    assert!(child.wait().unwrap().success());
    let ended = listed(&sandbox);
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!([&ended[0][0], &ended[0][1]], [id, "Completed"]);
    assert_eq!(sandbox.gantry(["builds", "logs", id, "2/2"]).success().stdout, "started\n");
}

#[test]
fn a_killed_build_stays_in_the_history() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM busybox\nRUN echo started; sleep 60\n")])
        .with_busybox();
    let mut child = start(&sandbox, ["build", "-t", "slow", "."], " started\n");
    let id = ids(&sandbox).remove(0);
    signal(&child, "KILL");
    assert!(!child.wait().unwrap().success());
    // Where it ran in a user namespace, the process in there dies a moment later.
    let patience = std::time::Instant::now();
    while listed(&sandbox)[0][1] == "Running" {
        assert!(patience.elapsed().as_secs() < 20, "the build still runs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = [&id, "Killed", "slow:latest", "-", "The process was killed"].map(str::to_owned);
    assert_eq!(listed(&sandbox), std::slice::from_ref(&killed));
    let shown = sandbox.gantry(["builds", "show", &id]).success().stdout;
    assert!(shown.contains("Killed") && shown.contains("The process was killed"), "{shown}");
    assert_eq!(show(&sandbox, "^0")["outcome"], "killed");
    assert!(sandbox.gantry(["builds", "logs"]).code(1).stderr.contains("was killed"));

    sandbox.write("Dockerfile", "FROM busybox\nRUN true\n");
    sandbox.gantry(["build", "-t", "next", "."]).success();
    let both = listed(&sandbox);
    assert_eq!((both[0][1].as_str(), &both[1..]), ("Completed", &[killed][..]));
    sandbox.gantry(["builds", "rm", &id]).success();
    assert_eq!(listed(&sandbox), both[..1]);
}

#[test]
fn the_sweep_of_a_killed_build_remembers_it() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM busybox\nRUN echo started; sleep 60\n")])
        .with_busybox();
    let mut child = start(&sandbox, ["build", "-t", "slow", "."], " started\n");
    signal(&child, "KILL");
    assert!(!child.wait().unwrap().success());
    // Nobody looks at the list before the directory goes.
    let work = sandbox.store().join("work");
    let patience = std::time::Instant::now();
    while fs_err::read_dir(&work).unwrap().count() > 0 {
        assert!(patience.elapsed().as_secs() < 20, "the directory stays");
        sandbox.write("Dockerfile", format!("FROM busybox\nRUN : {:?}\n", patience.elapsed()));
        sandbox.gantry(["build", "-t", "next", "."]).success();
    }
    let all = listed(&sandbox);
    assert_eq!(all.last().unwrap()[1..3], ["Killed", "slow:latest"].map(str::to_owned), "{all:?}");
    sandbox.gantry(["fsck"]).success();
}
