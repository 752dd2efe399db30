//! What takes space, and how it is freed (C8-07 to C8-09).

use serde_json::Value;

use super::{build, project};
use crate::sandbox::Sandbox;

fn built() -> Sandbox {
    let text = "FROM busybox\nRUN --mount=type=cache,target=/c echo x > /c/f\nRUN echo kept > /k\n";
    let sandbox = project(text);
    build(&sandbox, []);
    sandbox
}

/// The types of what `prune` with these flags says.
fn pruned(sandbox: &Sandbox, flags: &[&str]) -> Vec<String> {
    let words = [&["prune", "-f"], flags].concat();
    let shown = sandbox.gantry_words(&words).success().stdout;
    let lines = shown.lines().filter(|line| !line.starts_with("Total:"));
    lines.map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn c8_07_du() {
    let sandbox = built();
    let filtered = ["du", "--filter", "type=exec.cachemount", "--format", "json"];
    let shown = sandbox.gantry(filtered).success().stdout;
    let rows: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [row] = rows.as_slice() else { panic!("{shown}") };
    assert_eq!((&row["Type"], &row["Reclaimable"]), (&"exec.cachemount".into(), &"true".into()));
    assert!(row["Description"].as_str().unwrap().contains("/c"), "{row}");
    for name in ["ID", "Size", "LastUsedSince"] {
        assert!(!row[name].as_str().unwrap().is_empty(), "{name}: {row}");
    }
    let shown = sandbox.gantry(["du"]).success().stdout;
    for word in ["ID", "RECLAIMABLE", "SIZE", "LAST USED", "Reclaimable:\t", "Total:\t"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let shown = sandbox.gantry(["du", "--verbose", "--filter", "type=layer"]).success().stdout;
    assert!(shown.contains("Reclaimable:\tfalse\nSize:\t"), "{shown}");
    let shown = sandbox.gantry(["du", "--filter", "nonsense=1"]).code(1).stderr;
    assert!(shown.contains("nonsense"), "{shown}");
}

#[test]
fn c8_08_prune() {
    let sandbox = built();
    assert_eq!(pruned(&sandbox, &["-a", "--filter", "until=24h"]), [""; 0]);
    assert_eq!(pruned(&sandbox, &["-a", "--filter", "description=nothing such"]), [""; 0]);
    assert_eq!(pruned(&sandbox, &["-a", "--filter", "id=ffffffffffffffff"]), [""; 0]);
    let reserved = ["-a", "--max-used-space", "1", "--reserved-space", "1GB"];
    assert_eq!(pruned(&sandbox, &reserved), [""; 0], "what is reserved stays");
    assert_eq!(pruned(&sandbox, &["-a", "--min-free-space", "1"]), [""; 0], "as much is free");
    assert_eq!(pruned(&sandbox, &["--filter", "type=exec.cachemount"]), [""; 0], "not without -a");
    let mounts = pruned(&sandbox, &["-a", "--filter", "type=exec.cachemount"]);
    assert_eq!(mounts, ["exec.cachemount"]);
    sandbox.gantry(["prune", "-a"]).code(1);
    sandbox.gantry(["rmi", "x"]).success();
    let words = ["-a", "--filter", "type=layer", "--filter", "description=/k"];
    assert_eq!(pruned(&sandbox, &words), ["layer"]);
    assert!(!pruned(&sandbox, &["-a", "--max-used-space", "1"]).is_empty());
}

/// By default a small store is left alone; what somebody says holds from the next build on.
#[test]
fn c8_09_limits_hold_by_themselves() {
    let sandbox = built();
    let layers = |sandbox: &Sandbox| {
        let words = ["du", "--filter", "type=layer", "--filter", "reclaimable=true"];
        let shown = sandbox.gantry_words(&[&words[..], &["--format", "{{.ID}}"]].concat());
        shown.success().stdout.lines().count()
    };
    sandbox.gantry(["rmi", "x"]).success();
    assert!(layers(&sandbox) >= 2);
    let step = |sandbox: &Sandbox, n: u32| {
        sandbox.write("Dockerfile", format!("FROM busybox\nRUN echo {n} > /f\n"));
        sandbox.gantry(["build", "-o", "type=cacheonly", "."]).success();
    };
    step(&sandbox, 1);
    let before = layers(&sandbox);
    assert!(before >= 3, "the defaults are far away");
    sandbox.gantry(["prune", "--remember"]).success();
    step(&sandbox, 2);
    assert!(layers(&sandbox) > before, "nothing is pruned by itself");
    sandbox.gantry(["prune", "--defaults"]).success();
    step(&sandbox, 3);
    assert!(layers(&sandbox) > before + 1);
    let words = ["prune", "--remember", "--max-used-space", "1", "--reserved-space", "1GB"];
    sandbox.gantry(words).success();
    step(&sandbox, 4);
    assert!(layers(&sandbox) > before + 2, "what is reserved stays");
    sandbox.gantry(["prune", "--remember", "--max-used-space", "1"]).success();
    assert_eq!(layers(&sandbox), 0);
}
