//! Layers of images are fetched when something needs their bytes, and not before (C5-07).

use super::recorder::Recorder;
use super::{check_store, inspect, lines, made, push};
use crate::sandbox::Sandbox;

/// What neither reads nor runs anything of the base.
const THIN: &str =
    "LABEL a=b\nENV X=y\nCOPY --link f /f\nCMD [\"cat\", \"/f\", \"/tmp/cool-file\"]\n";

/// A registry with `base:1` of three layers, and a sandbox that knows nothing of it.
fn begin(text: &str) -> Option<(Recorder, Sandbox, String)> {
    let proxy = Recorder::start()?;
    let name = proxy.name("base:1");
    push(&made(), &name);
    proxy.asked();
    let text = format!("FROM {name}\n{text}");
    Some((proxy, Sandbox::with([("Dockerfile", &text), ("f", "file\n")]), name))
}

/// How many layers of the store are not fetched yet.
fn absent(sandbox: &Sandbox) -> usize {
    let told = sandbox.gantry(["du", "--no-trunc", "--verbose"]).success().stdout;
    told.matches(", not fetched").count()
}

#[test]
fn what_only_lies_on_top_fetches_nothing() {
    let Some((proxy, sandbox, name)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    let config = inspect(&sandbox, &name)["Id"].as_str().unwrap().to_owned();
    assert_eq!(proxy.fetched(&config), [""; 0]);
    // Nor does a second build, nor whoever looks at the image.
    let id = lines(&sandbox, &["images", "-q", "--no-trunc", "x"]);
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    assert_eq!(lines(&sandbox, &["images", "-q", "--no-trunc", "x"]), id);
    for look in [&["history", "x"][..], &["image", "ls"], &["inspect", "x"], &["du"]] {
        sandbox.gantry_words(look).success();
    }
    check_store(&sandbox);
    sandbox.gantry(["fsck", "--deep"]).success();
    assert_eq!(proxy.asked(), [""; 0]);
    assert_eq!(absent(&sandbox), 3);
    // It comes once it is needed, each layer once.
    let said = sandbox.gantry(["run", "--rm", "x"]).success().stdout;
    assert_eq!(said, "file\ncool content\n");
    let mut fetched = proxy.fetched("nothing");
    assert_eq!(fetched.len(), 3, "{fetched:?}");
    fetched.dedup();
    assert_eq!(fetched.len(), 3, "{fetched:?}");
    assert_eq!(absent(&sandbox), 0);
    sandbox.gantry(["fsck", "--deep"]).success();
    // Its size is known now.
    let size = inspect(&sandbox, "x")["Size"].as_u64().unwrap();
    let base = inspect(&made(), "made")["Size"].as_u64().unwrap();
    assert_eq!(size, base + "file\n".len() as u64);
}

#[test]
fn a_push_to_the_same_registry_fetches_nothing() {
    let Some((proxy, sandbox, name)) = begin(THIN) else { return };
    let config = |sandbox: &Sandbox| inspect(sandbox, &name)["Id"].as_str().unwrap().to_owned();
    let other = proxy.name("other/x:1");
    sandbox.gantry(["build", "-q", "--push", "-t", &other, "."]).success();
    let asked = proxy.asked();
    let mounts = asked.iter().filter(|line| {
        line.starts_with("POST /v2/other/x/blobs/uploads/?mount=") && line.contains("from=base")
    });
    assert_eq!(mounts.count(), 3, "{asked:?}");
    let got: Vec<_> = asked.iter().filter(|line| line.starts_with("GET ")).collect();
    let layers = got.iter().filter(|line| line.contains("/blobs/"));
    assert_eq!(layers.filter(|line| !line.ends_with(&config(&sandbox))).count(), 0, "{got:?}");
    // In the same repository there is nothing to be mounted.
    let said = push_as(&sandbox, "x", &proxy.name("base:2"));
    assert_eq!(said.matches("Layer already exists").count(), 3, "{said}");
    assert_eq!(proxy.fetched(&config(&sandbox)), [""; 0]);
    check_store(&sandbox);
    // What was pushed is whole.
    let there = Sandbox::new();
    let said = there.gantry(["run", "--rm", &other]).success().stdout;
    assert_eq!(said, "file\ncool content\n");
    let ids = |sandbox: &Sandbox| lines(sandbox, &["inspect", "-f", "{{.Id}}", &other]);
    assert_eq!(ids(&there), ids(&sandbox));
}

/// Builds once more under a name, and pushes it.
fn push_as(sandbox: &Sandbox, name: &str, to: &str) -> String {
    sandbox.gantry(["build", "-q", "-t", name, "."]).success();
    sandbox.gantry(["tag", name, to]).success();
    sandbox.gantry(["push", to]).success().stdout
}

#[test]
fn a_push_elsewhere_fetches_what_it_sends() {
    let Some((proxy, sandbox, _)) = begin(THIN) else { return };
    let Some(elsewhere) = super::Server::start() else { return };
    let name = elsewhere.name("x:1");
    push_as(&sandbox, "x", &name);
    assert_eq!(proxy.fetched("nothing").len(), 3 + 1);
    check_store(&sandbox);
    let there = Sandbox::new();
    assert_eq!(there.gantry(["run", "--rm", &name]).success().stdout, "file\ncool content\n");
}

#[test]
fn a_step_gets_what_it_runs_on() {
    let text = "RUN cat /tmp/cool-file && ! test -e /bin/wget\n";
    let Some((proxy, sandbox, name)) = begin(text) else { return };
    let build = ["build", "--progress=plain", "-t", "x", "."];
    let told = sandbox.gantry(build).success().stderr;
    assert!(told.contains(" cool content\n"), "{told}");
    assert!(told.contains(&format!("[internal] pull {name}")), "{told}");
    let config = inspect(&sandbox, &name)["Id"].as_str().unwrap().to_owned();
    assert_eq!(proxy.fetched(&config).len(), 3);
    // All is here now.
    drop(proxy);
    sandbox.gantry(["build", "--no-cache", "."]).success();
    check_store(&sandbox);
}

#[test]
fn outputs_with_files_get_them() {
    let Some((proxy, sandbox, _)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "-o", "out", "."]).success();
    assert_eq!(sandbox.read("out/tmp/cool-file"), b"cool content\n");
    assert_eq!(proxy.fetched("nothing").len(), 3 + 1);
    let Some((_proxy, sandbox, _)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "-t", "x", "-o", "type=docker,dest=x.tar", "."]).success();
    let there = Sandbox::with([("x.tar", "")]);
    there.write("x.tar", sandbox.read("x.tar"));
    there.gantry(["load", "-q", "-i", "x.tar"]).success();
    assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "file\ncool content\n");
    // Saved after a thin build.
    let Some((_proxy, sandbox, _)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    sandbox.gantry(["save", "-o", "y.tar", "x"]).success();
    there.write("y.tar", sandbox.read("y.tar"));
    there.gantry(["load", "-q", "-i", "y.tar"]).success();
    assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "file\ncool content\n");
}

#[test]
fn a_layer_that_is_gone_fails_the_step_that_needs_it() {
    let Some((proxy, sandbox, name)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    proxy.lose_blobs();
    sandbox.write("Run", format!("FROM {name}\nRUN true\n"));
    let error = sandbox.gantry(["build", "-f", "Run", "."]).code(1).stderr;
    assert!(error.contains("Failed to fetch the layer `sha256:"), "{error}");
    assert!(error.contains(&format!("of {name}")) && error.contains("RUN true"), "{error}");
    let error = sandbox.gantry(["run", "--rm", "x"]).code(125).stderr;
    assert!(error.contains("Failed to fetch the layer `sha256:"), "{error}");
    drop(proxy);
    let error = sandbox.gantry(["build", "-f", "Run", "."]).code(1).stderr;
    assert!(error.contains("Failed to fetch the layer `sha256:"), "{error}");
    check_store(&sandbox);
    // What needs no byte of it still builds.
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
}

#[test]
fn a_pull_fetches_all_of_it() {
    let Some((proxy, sandbox, name)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "."]).success();
    let said = sandbox.gantry(["pull", &name]).success().stdout;
    assert_eq!(said.matches("Pull complete").count(), 3, "{said}");
    assert_eq!(absent(&sandbox), 0);
    assert!(sandbox.gantry(["pull", &name]).success().stdout.contains("Image is up to date"));
    drop(proxy);
    let run = sandbox.gantry(["run", "--rm", &name, "cat", "/tmp/cool-file"]).success();
    assert_eq!(run.stdout, "cool content\n");
    check_store(&sandbox);
}

#[test]
fn what_is_not_used_is_pruned_without_having_come() {
    let Some((proxy, sandbox, name)) = begin(THIN) else { return };
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    sandbox.gantry(["rmi", "-f", "x", &name]).success();
    sandbox.gantry(["prune", "-af"]).success();
    assert_eq!(absent(&sandbox), 0);
    check_store(&sandbox);
    proxy.asked();
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    assert_eq!(absent(&sandbox), 3);
}

#[test]
fn c5_07_layers_of_a_cache_come_when_something_needs_them() {
    let Some((proxy, here, _)) = begin("RUN echo one > /one\nRUN echo two > /two\n") else {
        return;
    };
    let cache = proxy.name("cache:1");
    let to = format!("type=registry,ref={cache},mode=max");
    here.gantry(["build", "-q", "-t", "x", "--cache-to", &to, "."]).success();
    proxy.asked();
    let there = Sandbox::with([("f", "")]);
    there.write("Dockerfile", here.read("Dockerfile"));
    let from = format!("type=registry,ref={cache}");
    let build = ["build", "--progress=plain", "--cache-from", &from, "-t", "x", "."];
    let told = there.gantry(build).success().stderr;
    assert_eq!(told.matches(" CACHED\n").count(), 3, "{told}");
    // The config of the image and that of the cache, which a second look may read again.
    let mut fetched = proxy.fetched("nothing");
    fetched.sort();
    fetched.dedup();
    assert_eq!(fetched.len(), 2, "{fetched:?}");
    let ids = |sandbox: &Sandbox| lines(sandbox, &["inspect", "-f", "{{.RootFS.Layers}}", "x"]);
    assert_eq!(ids(&there), ids(&here));
    assert_eq!(absent(&there), 5);
    check_store(&there);
    let run = there.gantry(["run", "--rm", "x", "cat", "/one", "/two"]).success();
    assert_eq!(run.stdout, "one\ntwo\n");
    assert_eq!(proxy.fetched("nothing").len(), 5);
    check_store(&there);
}

#[test]
fn c5_01_a_cache_beside_the_image_takes_layers_from_there() {
    let Some((proxy, here, name)) = begin(THIN) else { return };
    let write = |sandbox: &Sandbox, flags: &[&str], cache: &str| {
        let to = format!("type=registry,ref={},mode=max", proxy.name(cache));
        let words = [&["build", "-q", "--cache-to", &to][..], flags, &["."]].concat();
        sandbox.gantry_words(&words).success();
        let asked = proxy.asked();
        let mounted = |line: &&String| line.contains("blobs/uploads/?mount=sha256%3A");
        let mounts: Vec<String> = asked.iter().filter(mounted).cloned().collect();
        let got =
            asked.into_iter().filter(|line| line.starts_with("GET ") && line.contains("/blobs/"));
        (mounts, got.collect::<Vec<_>>())
    };
    // The base's three layers are mounted; the one that was made here is sent.
    let (mounts, got) = write(&here, &[], "cache:1");
    let config = inspect(&here, &name)["Id"].as_str().unwrap().to_owned();
    assert_eq!(mounts.iter().filter(|line| line.ends_with("&from=base")).count(), 3, "{mounts:?}");
    assert_eq!(got, [format!("GET /v2/base/blobs/{config}")]);
    assert_eq!(absent(&here), 3);
    // Of a cache that was only asked, too: nothing of it is here, or comes here.
    let there = Sandbox::with([("f", "file\n")]);
    there.write("Dockerfile", here.read("Dockerfile"));
    let from = format!("type=registry,ref={}", proxy.name("cache:1"));
    let output = ["--cache-from", &from, "--output=type=cacheonly"];
    let (mounts, got) = write(&there, &output, "second/cache:1");
    assert_eq!(mounts.len(), 4, "{mounts:?}");
    assert!(mounts.iter().any(|line| line.ends_with("&from=cache")), "{mounts:?}");
    // Configs only: that of the image, and that of the cache.
    assert!(
        got.iter().all(|line| !mounts
            .iter()
            .any(|mount| { mount.contains(&line[line.rfind(':').unwrap() + 1..]) })),
        "{got:?}"
    );
    check_store(&there);
    // What was written is whole.
    let third = Sandbox::with([("f", "file\n")]);
    third.write("Dockerfile", here.read("Dockerfile"));
    let from = format!("type=registry,ref={}", proxy.name("second/cache:1"));
    third.gantry(["build", "-q", "--cache-from", &from, "-t", "x", "."]).success();
    let said = third.gantry(["run", "--rm", "x"]).success().stdout;
    assert_eq!(said, "file\ncool content\n");
}
