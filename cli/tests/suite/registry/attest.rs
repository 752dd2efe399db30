//! Images with attestations in a registry (E-10, C4-04), and what skopeo makes of them.

use serde_json::Value;

use super::peers::skopeo;
use super::{Server, check_store, lines, made, push};
use crate::sandbox::Sandbox;

fn raw(sandbox: &Sandbox, name: &str) -> (String, Value) {
    let text = sandbox.gantry(["buildx", "imagetools", "inspect", "--raw", name]).success().stdout;
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

#[test]
fn e_10_pushed_with_the_image_and_read_by_skopeo() {
    let Some(server) = Server::start() else { return };
    push(&made(), &server.name("base:1"));
    let (base, name) = (server.name("base:1"), server.name("app:1"));
    let here = Sandbox::with([("Dockerfile", &format!("FROM {base}\nRUN echo hi > /hi\n"))]);
    let build = ["build", "--push", "-t", &name, "--provenance=mode=max", "--metadata-file=m", "."];
    here.gantry(build).success();
    let (_, index) = raw(&here, &name);
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let digest = |at: usize| index["manifests"][at]["digest"].as_str().unwrap().to_owned();
    let about = &index["manifests"][1]["annotations"]["vnd.docker.reference.digest"];
    assert_eq!(*about, digest(0));
    let shown = here.gantry(["buildx", "imagetools", "inspect", &name]).success().stdout;
    assert!(shown.contains("vnd.docker.reference.type: attestation-manifest"), "{shown}");
    let metadata: Value = serde_json::from_slice(&here.read("m")).unwrap();
    let pushed = metadata["containerimage.digest"].as_str().unwrap();
    assert!(shown.contains(pushed), "{shown}");
    // Where the base image comes from is known by its digest.
    let (_, manifest) = raw(&here, &format!("{}@{}", server.name("app"), digest(1)));
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.in-toto+json");
    let (_, of_base) = raw(&here, &base);
    assert_eq!(of_base["schemaVersion"], 2);
    let material = &metadata["buildx.build.provenance"]["materials"][0];
    assert!(material["digest"]["sha256"].is_string(), "{metadata}");
    // Another store pulls and runs the image, and never what is said about it.
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &name]).success();
    assert_eq!(there.gantry(["run", "--rm", &name, "cat", "/hi"]).success().stdout, "hi\n");
    check_store(&there);
    let from = format!("docker://{name}");
    let Some(theirs) = skopeo(&here, &["inspect", "--raw", "--tls-verify=false", &from]) else {
        return;
    };
    assert_eq!(serde_json::from_str::<Value>(&theirs).unwrap(), index);
    let copy = ["copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false"];
    skopeo(&here, &[&copy[..], &[&from, "oci:copied:x"]].concat()).unwrap();
    let copied: Value = serde_json::from_slice(&here.read("copied/index.json")).unwrap();
    assert_eq!(copied["manifests"][0]["digest"], pushed);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let statement: Value =
        serde_json::from_slice(&here.read(&format!("copied/blobs/{layer}"))).unwrap();
    let own = &statement["predicate"]["materials"][0]["digest"];
    assert_eq!(own, &material["digest"]);
}

#[test]
fn e_10_what_the_store_keeps_is_pushed_as_it_is() {
    let Some(server) = Server::start() else { return };
    let here = made();
    let (one, two) = (server.name("one:1"), server.name("two:1"));
    here.gantry(["build", "--provenance=true", "-t", &one, "."]).success();
    here.gantry(["push", "-q", &one]).success();
    let (text, index) = raw(&here, &one);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    // Under another name they are the same bytes: who is spoken of has the digest.
    here.gantry(["tag", &one, &two]).success();
    here.gantry(["push", "-q", &two]).success();
    assert_eq!(raw(&here, &two).0, text);
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &one]).success();
    check_store(&there);
    check_store(&here);
}

#[test]
fn e_10_several_platforms_and_what_is_said_of_each() {
    let Some(server) = Server::start() else { return };
    let here = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let name = server.name("multi:1");
    let platforms = "linux/amd64,linux/arm64";
    let build = ["build", "--platform", platforms, "--push", "-t", &name, "--provenance=true", "."];
    here.gantry(build).success();
    let (_, index) = raw(&here, &name);
    let entries = index["manifests"].as_array().unwrap();
    let architectures: Vec<_> =
        entries.iter().map(|entry| entry["platform"]["architecture"].as_str().unwrap()).collect();
    assert_eq!(architectures, ["amd64", "arm64", "unknown", "unknown"]);
    for (image, said) in [(0, 2), (1, 3)] {
        let about = &entries[said]["annotations"]["vnd.docker.reference.digest"];
        assert_eq!(*about, entries[image]["digest"]);
    }
    // The store's name stands for all of them, and for what is said about each.
    let one = server.name("multi:kept");
    here.gantry(["build", "--platform", platforms, "-t", &one, "--provenance=true", "."]).success();
    here.gantry(["push", "-q", &one]).success();
    let (_, kept) = raw(&here, &one);
    let kept = kept["manifests"].as_array().unwrap();
    assert_eq!(kept.len(), 4);
    let about = &kept[3]["annotations"]["vnd.docker.reference.digest"];
    assert_eq!(*about, kept[1]["digest"]);
    check_store(&here);
    let there = Sandbox::new();
    there.gantry(["pull", "-q", "--platform", "linux/arm64", &name]).success();
    assert_eq!(lines(&there, &["inspect", "-f", "{{.Architecture}}", &name]), ["arm64"]);
}
