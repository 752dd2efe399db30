//! Which step runs when, and what is said of the time that it took.

use serde_json::Value;

use crate::sandbox::Sandbox;

/// Two stages that depend on nothing of each other, the slower one last, and one that takes from both.
fn project() -> Sandbox {
    let stage = |name: &str, work: &str| {
        format!(
            "FROM busybox AS {name}\nARG V\n\
             RUN --mount=type=cache,target=/c echo {name} begins >> /c/log; {work}; \
             echo {name} ends >> /c/log; echo $V > /{name}\n"
        )
    };
    let (quick, slow) = (stage("quick", "true"), stage("slow", "sleep 1"));
    let text = format!(
        "{quick}{slow}FROM busybox\nCOPY --from=quick /quick /\nCOPY --from=slow /slow /\n\
         RUN --mount=type=cache,target=/c cat /c/log; rm /c/log\n"
    );
    Sandbox::with([("Dockerfile", &*text)]).with_busybox()
}

/// Builds with one job, and returns what the steps noted.
fn noted(sandbox: &Sandbox, version: &str) -> String {
    let version = format!("V={version}");
    sandbox.gantry(["build", "-q", "--jobs", "1", "--build-arg", &version, "."]).success();
    sandbox.gantry(["builds", "logs", "^0", "cat /c/log"]).success().stdout
}

#[test]
fn one_job_is_one_step_at_a_time_and_what_took_longer_last_time_goes_first() {
    let sandbox = project();
    let (quick, slow) = ("quick begins\nquick ends\n", "slow begins\nslow ends\n");
    assert_eq!(noted(&sandbox, "1"), format!("{quick}{slow}"), "nothing is known: by the file");
    assert_eq!(noted(&sandbox, "2"), format!("{slow}{quick}"), "the longer one is known");
}

#[test]
fn the_critical_path_goes_through_the_slow_stage() {
    let sandbox = project();
    let said = sandbox.gantry(["build", "--timing", "--build-arg", "V=1", "."]).success().stderr;
    assert!(said.contains("Critical path") && said.contains("QUEUED"), "{said}");
    let shown = sandbox.gantry(["builds", "show", "--format", "json"]).success().stdout;
    let record: Value = serde_json::from_str(&shown).unwrap();
    let titles: Vec<&str> = record["timing"]["critical"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", record["timing"]))
        .iter()
        .map(|step| {
            let place = usize::try_from(step.as_u64().unwrap()).unwrap();
            record["steps"][place - 1]["title"].as_str().unwrap()
        })
        .collect();
    assert!(titles.iter().any(|title| title.contains("slow begins")), "{titles:?}");
    assert!(!titles.iter().any(|title| title.contains("quick begins")), "{titles:?}");
    assert!(titles.last().unwrap().contains("cat /c/log"), "{titles:?}");
}
