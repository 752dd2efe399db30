//! Builds whose images come from a registry (C1-07, B8).

use super::{Server, check_store, lines, made, push};
use crate::sandbox::Sandbox;

#[test]
fn from_and_copy_from_a_registry() {
    let Some(server) = Server::start() else { return };
    push(&made(), &server.name("base:1"));
    let name = server.name("base:1");
    let text =
        format!("FROM {name}\nRUN cat /tmp/cool-file\nCOPY --from={name} /tmp/cool-file /x\n");
    let there = Sandbox::with([("Dockerfile", &text)]);
    let told = there.gantry(["build", "--progress=plain", "-t", "x", "."]).success().stderr;
    assert!(told.contains(&format!("[internal] load metadata for {name}\n")), "{told}");
    assert!(told.contains(" cool content\n"), "{told}");
    let listed = lines(&there, &["images", "--format", "{{.Repository}}:{{.Tag}}", &name]);
    assert_eq!(listed, [name.as_str()]);
    check_store(&there);
    // With the registry gone, everything is here.
    drop(server);
    let again = there.gantry(["build", "--progress=plain", "-t", "y", "."]).success().stderr;
    assert!(!again.contains("load metadata"), "{again}");
    let error = there.gantry(["build", "--pull", "."]).code(1).stderr;
    assert!(error.contains("Failed to connect to the registry"), "{error}");
}

#[test]
fn c1_07_pull_asks_for_newer_ones() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("base:1"));
    push(&here, &name);
    let there = Sandbox::with([
        ("Dockerfile", format!("FROM {name}\nRUN ls /new || true\n").as_str()),
        ("copies", &format!("FROM scratch\nCOPY --from={name} /new /\n")),
    ]);
    let digest = |sandbox: &Sandbox| lines(sandbox, &["inspect", "-f", "{{.Id}}", &name]).remove(0);
    there.gantry(["build", "-q", "."]).success();
    let old = digest(&there);
    here.write("Dockerfile", "FROM made\nRUN echo > /new\n");
    here.gantry(["build", "-q", "-t", "made", "."]).success();
    push(&here, &name);
    there.gantry(["build", "-q", "."]).success();
    assert_eq!(digest(&there), old);
    // Of each image that is named, wherever that is.
    let _ = there.gantry(["build", "-f", "copies", "."]).code(1);
    there.gantry(["build", "-q", "--pull", "-f", "copies", "."]).success();
    there.gantry(["build", "-q", "--pull", "."]).success();
    assert_eq!(digest(&there), digest(&here));
    assert_ne!(digest(&there), old);
}

#[test]
fn digests_and_named_contexts() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("base:1"));
    push(&here, &name);
    let digest = lines(&here, &["inspect", "-f", "{{index .RepoDigests 0}}", "made"]).remove(0);
    let text = format!("FROM {digest}\nCOPY --from=other /tmp/cool-file /x\nRUN cat /x\n");
    let there = Sandbox::with([("Dockerfile", &text)]);
    let context = format!("other=docker-image://{name}");
    there.gantry(["build", "--build-context", &context, "."]).success();
    let zeros = format!("{}@sha256:{}", server.name("base"), "0".repeat(64));
    there.write("Dockerfile", format!("FROM {zeros}\n"));
    let error = there.gantry(["build", "."]).code(1).stderr;
    assert!(error.contains("not found"), "{error}");
}

#[test]
fn e_08_what_an_image_is_built_upon() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("base:1"));
    push(&here, &name);
    let pushed = lines(&here, &["inspect", "-f", "{{index .RepoDigests 0}}", "made"]).remove(0);
    let digest = pushed.split_once('@').unwrap().1;
    // Stages before the last are not what the image is built upon.
    let text =
        format!("FROM scratch AS files\nCOPY d /\nFROM {name} AS base\nFROM base\nRUN true\n");
    let there = Sandbox::with([("d", text.as_str()), ("scratch", "FROM scratch\nCOPY d /\n")]);
    let annotations = |arguments: &[&str]| {
        let output = ["build", "-q", "-o", "type=oci,dest=l,tar=false"];
        there.gantry_words(&[&output, arguments, &["."]].concat()).success();
        let read = |file: &str| -> serde_json::Value {
            let bytes = fs_err::read(there.project().join("l").join(file)).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        let entry = read("index.json")["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let manifest = read(&format!("blobs/{}", entry.replace(':', "/")));
        fs_err::remove_dir_all(there.project().join("l")).unwrap();
        manifest.get("annotations").cloned().unwrap_or_default()
    };
    let (of_name, of_digest) =
        ("org.opencontainers.image.base.name", "org.opencontainers.image.base.digest");
    let both = serde_json::json!({ of_name: name, of_digest: digest });
    assert_eq!(annotations(&["-f", "d"]), serde_json::Value::Null);
    assert_eq!(annotations(&["-f", "d", "--base-annotations"]), both);
    // Its digest alone is no name that could be asked for a newer one.
    there.write("d", text.replace(&name, &format!("{name}@{digest}")));
    assert_eq!(annotations(&["-f", "d", "--base-annotations"]), both);
    let mine = format!("{of_name}=mine");
    let said = annotations(&["-f", "d", "--base-annotations", "--annotation", &mine]);
    assert_eq!((&said[of_name], &said[of_digest]), (&"mine".into(), &digest.into()));
    let none = annotations(&["-f", "scratch", "--base-annotations"]);
    assert_eq!(none, serde_json::Value::Null);
}

#[test]
fn build_push_and_push_are_the_same() {
    let Some(server) = Server::start() else { return };
    let sandbox = made();
    let (one, two) = (server.name("one:1"), server.name("one:2"));
    let build = ["build", "--progress=plain", "--push", "-t", &one, "-t", &two];
    let metadata = ["--metadata-file", "metadata.json", "."];
    let told = sandbox.gantry_words(&[&build[..], &metadata].concat()).success().stderr;
    assert!(told.contains(&format!(" pushing manifest for {one}@sha256:")), "{told}");
    let metadata: serde_json::Value =
        serde_json::from_slice(&sandbox.read("metadata.json")).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();
    for name in [&one, &two] {
        let there = Sandbox::new();
        let said = there.gantry(["pull", name]).success().stdout;
        assert!(said.contains(&format!("Digest: {digest}\n")), "{said}");
        let ids = |sandbox: &Sandbox| lines(sandbox, &["inspect", "-f", "{{.Id}}", name]);
        assert_eq!(ids(&there), ids(&sandbox));
    }
    let said = sandbox.gantry(["push", &one]).success().stdout;
    assert!(said.contains(&format!("1: digest: {digest} ")), "{said}");
    let error = sandbox.gantry(["build", "--push", "."]).code(1).stderr;
    assert!(error.contains("tag is needed when pushing to registry"), "{error}");
    // It is in the store as well, loaded or not.
    for flag in ["--load", "--load=false"] {
        let there = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
        let name = server.name(&format!("both:{}", flag.len()));
        there.gantry(["build", "-q", "--push", flag, "-t", &name, "."]).success();
        assert_eq!(lines(&there, &["images", "-q", &name]).len(), 1, "{flag}");
        Sandbox::new().gantry(["pull", "-q", &name]).success();
    }
}

#[test]
fn several_platforms_are_pushed_as_one_index() {
    let Some(server) = Server::start() else { return };
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let name = server.name("multi:1");
    let output = format!("type=registry,name={name},compression=zstd");
    let build = ["build", "--platform", "linux/amd64,linux/arm64", "-o", &output, "."];
    sandbox.gantry(build).success();
    for arch in ["amd64", "arm64"] {
        let there = Sandbox::new();
        there.gantry(["pull", "-q", "--platform", &format!("linux/{arch}"), &name]).success();
        assert_eq!(lines(&there, &["inspect", "-f", "{{.Architecture}}", &name]), [arch]);
        check_store(&there);
    }
    let raw = ["buildx", "imagetools", "inspect", "--raw", &name];
    let index: serde_json::Value =
        serde_json::from_str(&sandbox.gantry(raw).success().stdout).unwrap();
    let first = index["manifests"][0]["digest"].as_str().unwrap();
    let first = format!("{}@{first}", server.name("multi"));
    let manifest = sandbox.gantry(["manifest", "inspect", &first]).success().stdout;
    assert!(manifest.contains("tar+zstd"), "{manifest}");
    // By its digest alone.
    let quiet = format!("type=image,name={},push=true,push-by-digest=true", server.name("quiet"));
    sandbox.gantry(["build", "-o", &quiet, "--metadata-file", "m.json", "."]).success();
    let metadata: serde_json::Value = serde_json::from_slice(&sandbox.read("m.json")).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &format!("{}@{digest}", server.name("quiet"))]).success();
    let error = there.gantry(["pull", &server.name("quiet")]).code(1).stderr;
    assert!(error.contains("not found"), "{error}");
}
