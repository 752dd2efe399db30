//! The budget of the cache: exact numbers, a reason for everything that goes, and nothing lost that
//! is in use.

use std::process::{Command, Stdio};

use crate::sandbox::Sandbox;

fn bytes(sandbox: &Sandbox) -> u64 {
    let listed = sandbox.gantry(["du", "--format", "{{.Bytes}}"]).success().stdout;
    listed.lines().map(|line| line.parse::<u64>().unwrap()).sum()
}

fn du(sandbox: &Sandbox) -> u64 {
    let out = Command::new("du").args(["-s", "-B1"]).arg(sandbox.store()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Steps that each leave a file of 300 kB.
fn dockerfile(first: u32, count: u32) -> String {
    let step = |n: u32| format!("RUN head -c 300000 /dev/urandom > /f{n}\n");
    format!("FROM busybox\n{}", (first..first + count).map(step).collect::<String>())
}

#[test]
fn du_says_to_the_byte_what_du_says() {
    let text = "FROM busybox AS one\nRUN echo 1 > /a; mkdir /d; ln /a /d/b\n\
                RUN --mount=type=cache,target=/c echo 2 > /c/x; echo hi\n\
                FROM busybox\nCOPY --from=one /a /d /x/\nCOPY ctx /ctx\n";
    let sandbox =
        Sandbox::with([("Dockerfile", text), ("ctx/f", "1"), ("ctx/g", "2")]).with_busybox();
    sandbox.gantry(["build", "-t", "app", "."]).success();
    // COPY links what is the same from the layer that it made before.
    sandbox.write("ctx/g", "3");
    sandbox.gantry(["build", "-t", "app", "-o", "type=oci,dest=out.tar", "."]).success();
    sandbox.gantry(["save", "-o", "app.tar", "app"]).success();
    assert_eq!(bytes(&sandbox), du(&sandbox));
    sandbox.gantry(["prune", "-f"]).success();
    assert_eq!(bytes(&sandbox), du(&sandbox));
    sandbox.gantry(["rmi", "app", "busybox"]).success();
    sandbox.gantry(["prune", "-a", "-f"]).success();
    assert_eq!(bytes(&sandbox), du(&sandbox));
}

#[test]
fn a_dry_run_has_a_reason_for_every_entry_and_does_nothing() {
    let sandbox = Sandbox::with([("Dockerfile", &dockerfile(0, 3)[..])]).with_busybox();
    sandbox.gantry(["build", "."]).success();
    // Looking measures what nobody has measured yet, and notes that.
    let before = bytes(&sandbox);
    let plan = sandbox.gantry(["prune", "-a", "--dry-run", "--max-size", "1k"]).success().stdout;
    let entries: Vec<&str> = plan.lines().filter(|line| !line.starts_with("Total")).collect();
    assert!(entries.len() >= 3, "{plan}");
    for entry in entries {
        let fields: Vec<&str> = entry.split('\t').collect();
        assert!(fields.len() == 5 && !fields[4].is_empty(), "{entry}");
    }
    assert!(plan.contains("over the budget of 1.024kB, least recently used"), "{plan}");
    assert!(plan.contains("RUN head -c 300000 /dev/urandom > /f0"), "{plan}");
    assert_eq!(bytes(&sandbox), before);
    let kept = sandbox.gantry(["prune", "-f", "--max-size", "1k", "--keep", "1h"]).success().stdout;
    assert!(!kept.contains("layer"), "{kept}");
}

#[test]
fn a_budget_that_is_remembered_holds_while_builds_run() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM busybox\nRUN true\n")]).with_busybox();
    sandbox.gantry(["build", "."]).success();
    let budget = du(&sandbox) + 2_500_000;
    sandbox.gantry(["prune", "--remember", "--max-size", &budget.to_string()]).success();
    // Ten builds of which each would fit, and two of them would not. Their images have no names.
    for n in 0..10 {
        sandbox.write("Dockerfile", dockerfile(10 * n, 4));
        sandbox.gantry(["build", "-o", "type=cacheonly", "."]).success();
        assert!(du(&sandbox) <= budget, "build {n}: {} of {budget}", du(&sandbox));
    }
    sandbox.gantry(["build", "-o", "type=cacheonly", "."]).success();
    let shown = sandbox.gantry(["why"]).success().stdout;
    assert_eq!(shown, "Every step came from the cache\n", "the last one's steps are still there");
    sandbox.write("Dockerfile", dockerfile(30, 4));
    sandbox.gantry(["build", "-o", "type=cacheonly", "."]).success();
    let shown = sandbox.gantry(["why", "/f30"]).success().stdout;
    assert!(shown.contains("was pruned: over the budget of"), "{shown}");
    sandbox.gantry(["prune", "--remember"]).success();
    sandbox.gantry(["fsck", "--deep"]).success();
}

#[test]
fn concurrent_builds_never_lose_what_they_use() {
    let sandbox = Sandbox::new().with_busybox();
    for n in 0..3 {
        let text = format!(
            "FROM busybox AS a\nRUN head -c 200000 /dev/zero > /{n} && sleep 0.2\n\
             FROM busybox\nCOPY --from=a /{n} /x\nRUN sleep 0.2; test $(wc -c < /x) = 200000\n"
        );
        sandbox.write(&format!("{n}"), text);
    }
    for _ in 0..3 {
        let builds: Vec<_> = (0..3)
            .map(|n| {
                let mut command = sandbox.command(["build", "--no-cache", "-q", "-f"]);
                command.arg(n.to_string()).arg(".").stdout(Stdio::null()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for _ in 0..6 {
            sandbox.gantry(["prune", "-a", "-f", "--max-size", "1"]).success();
        }
        for build in builds {
            let ended = build.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "{said}");
        }
    }
    sandbox.gantry(["fsck", "--deep"]).success();
}
