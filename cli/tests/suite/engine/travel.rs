//! Images and caches that go from gantry to an engine, and from an engine to gantry.

use serde_json::Value;

use super::{Engine, Store};
use crate::objects::actions::{Actions, token};
use crate::registry::server::Server;
use crate::sandbox::Sandbox;

const TEXT: &str = "FROM busybox\nRUN echo cool content > /tmp/cool-file && chown 7:8 /tmp/cool-file\n\
    RUN rm /bin/wget\nENV GREETING=\"hello there\"\nUSER 7\nWORKDIR /tmp\n\
    CMD echo $GREETING; cat cool-file; id -u; pwd; test -e /bin/wget || echo none\n";
const PRINTED: &str = "hello there\ncool content\n7\n/tmp\nnone\n";

fn inspect(text: &str) -> Value {
    serde_json::from_str::<Vec<Value>>(text).unwrap().remove(0)
}

/// What a container is started from.
fn facts(image: &Value) -> (Value, Value, Vec<(String, Value)>) {
    let names = ["Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels", "ExposedPorts"];
    let config = names.map(|name| (name.to_owned(), image["Config"][name].clone())).to_vec();
    (image["RootFS"].clone(), image["Architecture"].clone(), config)
}

#[test]
fn a3_13_an_engine_loads_and_runs_what_gantry_writes() {
    for store in [Store::Graph, Store::Containerd] {
        let Some(engine) = Engine::start(store) else { return };
        let sandbox = &engine.sandbox;
        sandbox.write("Dockerfile", TEXT);
        let outputs = ["type=image", "type=docker,dest=docker.tar", "type=oci,dest=oci.tar"];
        let outputs = outputs.map(|output| ["-o", output]).concat();
        let words = [&["build", "-q", "-t", "made"], &outputs[..], &["."]].concat();
        let id = sandbox.gantry_words(&words).success().stdout;
        sandbox.gantry(["save", "-o", "save.tar", "made"]).success();
        let ours = inspect(&sandbox.gantry(["inspect", "made"]).success().stdout);
        let ran = sandbox.gantry(["run", "--rm", "--network=none", "made"]).success().stdout;
        assert_eq!(ran, PRINTED);
        // The classic store takes no archive that is OCI's alone.
        let archives = match store {
            Store::Graph => &["save.tar", "docker.tar"][..],
            Store::Containerd => &["save.tar", "docker.tar", "oci.tar"],
        };
        for archive in archives {
            let loaded = engine.docker(&["load", "-i", archive]);
            assert_eq!(loaded.stdout, "Loaded image: made:latest\n", "{archive}");
            let theirs = inspect(&engine.docker(&["inspect", "made"]).stdout);
            if matches!(store, Store::Graph) {
                assert_eq!(theirs["Id"], id.trim(), "{archive}");
            }
            assert_eq!(facts(&theirs), facts(&ours), "{archive}");
            let run = ["run", "--rm", "--network=none", "made"];
            assert_eq!(engine.docker(&run).stdout, PRINTED, "{archive}");
            let format = "{{.CreatedBy}}|{{.Comment}}";
            let history = ["history", "--no-trunc", "--format", format, "made"];
            let ours = sandbox.gantry_words(&history).success().stdout;
            assert_eq!(engine.docker(&history).stdout, ours, "{archive}");
            engine.docker(&["rmi", "made"]);
        }
    }
}

#[test]
fn a3_14_gantry_loads_and_runs_what_an_engine_saves() {
    for store in [Store::Graph, Store::Containerd] {
        let Some(engine) = Engine::start(store) else { return };
        let sandbox = &engine.sandbox;
        sandbox.write("Dockerfile", TEXT);
        engine.docker(&["buildx", "build", "-q", "--network=host", "-t", "theirs", "."]);
        engine.docker(&["save", "-o", "theirs.tar", "theirs"]);
        let loaded = sandbox.gantry(["load", "-i", "theirs.tar"]).success();
        assert_eq!(loaded.stdout, "Loaded image: theirs:latest\n", "{store:?}");
        let ours = inspect(&sandbox.gantry(["inspect", "theirs"]).success().stdout);
        let theirs = inspect(&engine.docker(&["inspect", "theirs"]).stdout);
        assert_eq!(ours["RootFS"], theirs["RootFS"], "{store:?}");
        let run = sandbox.gantry(["run", "--rm", "--network=none", "theirs"]).success();
        assert_eq!(run.stdout, PRINTED, "{store:?}");
    }
}

/// The digest of the first thing that an archive's `index.json` names.
fn first_entry(archive: &[u8]) -> String {
    let mut archive = tar::Archive::new(archive);
    let mut members = archive.entries().unwrap().map(Result::unwrap);
    let index = members.find(|member| member.path().unwrap().ends_with("index.json")).unwrap();
    let index: Value = serde_json::from_reader(index).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// An index that gantry saves goes to an engine whole, and comes back the same, where the engine
/// keeps such things; the classic store gets the image that the name shows, the host's.
#[test]
fn a3_13_an_engine_loads_an_index_that_gantry_saves() {
    for store in [Store::Graph, Store::Containerd] {
        let Some(engine) = Engine::start(store) else { return };
        let sandbox = &engine.sandbox;
        sandbox.write("data", "some data\n");
        sandbox.write("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY data /$TARGETARCH\n");
        let platforms = "--platform=linux/arm64,linux/amd64";
        let exported = "type=oci,dest=exported.tar,name=many";
        let outputs = ["-o", "type=image", "-o", exported];
        let build = ["build", "-q", platforms, "-t", "many"];
        sandbox.gantry_words(&[&build[..], &outputs, &["."]].concat()).success();
        sandbox.gantry(["save", "-o", "both.tar", "many"]).success();
        sandbox.gantry(["save", "--format=oci-archive", "-o", "oci.tar", "many"]).success();
        let shown = sandbox.gantry(["inspect", "-f", "{{.Id}}", "many"]).success().stdout;
        let index = first_entry(&sandbox.read("both.tar"));
        // The classic store takes no archive that is OCI's alone.
        let archives = match store {
            Store::Graph => &["both.tar"][..],
            Store::Containerd => &["both.tar", "oci.tar", "exported.tar"],
        };
        for archive in archives {
            let loaded = engine.docker(&["load", "-i", archive]);
            assert_eq!(loaded.stdout, "Loaded image: many:latest\n", "{archive}");
            let id = engine.docker(&["image", "inspect", "-f", "{{.Id}}", "many"]).stdout;
            engine.docker(&["save", "-o", "back.tar", "many"]);
            engine.docker(&["rmi", "many"]);
            let there = Sandbox::new();
            let back = there.gantry_with_input(["load"], &sandbox.read("back.tar"));
            assert_eq!(back.success().stdout, "Loaded image: many:latest\n", "{archive}");
            if matches!(store, Store::Graph) {
                assert_eq!(id, shown, "{archive}");
                continue;
            }
            assert_eq!(id.trim(), index, "{archive}");
            there.gantry(["save", "-o", "again.tar", "many"]).success();
            assert_eq!(first_entry(&there.read("again.tar")), index, "{archive}");
            for platform in ["linux/amd64", "linux/arm64"] {
                there.gantry(["save", "--platform", platform, "-o", "one.tar", "many"]).success();
            }
        }
    }
}

#[test]
fn a_real_client_gives_gantrys_image_to_its_engine() {
    let Some(engine) = Engine::start(Store::Graph) else { return };
    let sandbox = &engine.sandbox;
    sandbox.write("Dockerfile", TEXT);
    fs_err::remove_file(
        sandbox.project().with_file_name("engine/config/cli-plugins/docker-buildx"),
    )
    .unwrap();
    sandbox.gantry(["plugin", "install"]).success();
    engine.docker(&["build", "-q", "-t", "given", "."]);
    assert_eq!(engine.docker(&["run", "--rm", "--network=none", "given"]).stdout, PRINTED);
    // Nobody else built it: BuildKit's own cache knows nothing.
    let ours = sandbox.gantry(["images", "-q", "--no-trunc", "given"]).success().stdout;
    let theirs = engine.docker(&["images", "-q", "--no-trunc", "given"]).stdout;
    assert_eq!(ours, theirs);
}

#[test]
fn c5_08_buildkit_and_gantry_read_each_others_caches() {
    let Some(engine) = Engine::start(Store::Containerd) else { return };
    let Some(registry) = Server::start() else { return };
    let sandbox = &engine.sandbox;
    sandbox.write("Dockerfile", TEXT);
    let name = |tag: &str| format!("{}/cache:{tag}", registry.host);
    let to = |tag: &str| format!("type=registry,mode=max,ref={}", name(tag));
    let from = |tag: &str| format!("type=registry,ref={}", name(tag));
    let plain = ["--progress=plain", "--network=host"];

    sandbox
        .gantry_words(&[
            "build",
            "-q",
            "--network=host",
            "--allow=network.host",
            "--cache-to",
            &to("ours"),
            ".",
        ])
        .success();
    let flags = ["--no-cache-filter", "none", "--cache-from", &from("ours"), "."];
    let theirs = engine.docker(&[&["buildx", "build"], &plain[..], &flags].concat());
    let imported = format!("importing cache manifest from {}", name("ours"));
    assert!(theirs.stderr.contains(&imported), "{}", theirs.stderr);
    for bad in ["WARN", "failed", "ERROR"] {
        assert!(!theirs.stderr.contains(bad), "{}", theirs.stderr);
    }

    let flags = ["--cache-to", &to("theirs"), "."];
    engine.docker(&[&["buildx", "build"], &plain[..], &flags].concat());
    let flags = ["build", "--progress=plain", "--no-cache", "--cache-from", &from("theirs"), "."];
    let ours = sandbox.gantry_words(&flags).success();
    for bad in ["WARN", "failed", "ERROR"] {
        assert!(!ours.stderr.contains(bad), "{}", ours.stderr);
    }
}

/// Each reads what the other wrote into the cache of GitHub Actions. Documents in buckets have the same
/// form; this engine knows no buckets.
#[test]
fn c5_08_buildkit_and_gantry_share_the_cache_of_github_actions() {
    let Some(engine) = Engine::start(Store::Containerd) else { return };
    let actions = Actions::start();
    let token = token(&[("refs/heads/main", 3)]);
    let cache = |scope: &str| {
        format!("type=gha,url=http://{}/v1/,token={token},scope={scope}", actions.host)
    };
    engine.sandbox.write("Dockerfile", TEXT);
    let to = format!("{},mode=max,ignore-error=false", cache("ours"));
    let build = ["build", "-q", "--network=host", "--allow=network.host", "--cache-to", &to, "."];
    engine.sandbox.gantry(build).success();
    let plain = ["buildx", "build", "--progress=plain", "--network=host"];
    let from = cache("ours");
    let theirs = engine.docker(&[&plain[..], &["--cache-from", &from, "."]].concat()).stderr;
    assert!(theirs.contains("importing cache manifest from gha:"), "{theirs}");
    let to = format!("{},mode=max", cache("theirs"));
    let exported = engine.docker(&[&plain[..], &["--cache-to", &to, "."]].concat()).stderr;
    assert!(exported.contains("exporting to GitHub Actions Cache"), "{exported}");
    let from = cache("theirs");
    let flags = ["build", "--progress=plain", "--no-cache", "--cache-from", &from, "."];
    let ours = engine.sandbox.gantry(flags).success().stderr;
    assert!(ours.contains("importing cache manifest from gha:theirs"), "{ours}");
    for told in [theirs, exported, ours] {
        for bad in ["WARN", "failed", "not used", "ERROR"] {
            assert!(!told.contains(bad), "{told}");
        }
    }
    let keys = actions.service.keys();
    for scope in ["ours", "theirs"] {
        let key = format!("index-{scope}-1-f921bd05#1");
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}
