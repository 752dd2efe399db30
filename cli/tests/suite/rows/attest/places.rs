//! Where it goes what is said: files beside files, metadata, the store.

use serde_json::Value;

use super::super::build;
use super::{blob, listed, parse, sandbox, words};
use crate::sandbox::Sandbox;

#[test]
fn c1_21_files_beside_files() {
    let sandbox = sandbox();
    let output = "-o=type=local,dest=out,attestation-prefix=x-";
    words(&sandbox, &["--provenance=mode=min", output, "-o=type=tar,dest=o.tar"], 0);
    let text = sandbox.read("out/x-provenance.json");
    assert!(text.starts_with(b"{\n  \"_type\": "), "it is indented");
    let statement = parse(&text);
    let subjects = statement["subject"].as_array().unwrap();
    let of = |name: &str| {
        let found = subjects.iter().find(|subject| subject["name"] == name);
        found.unwrap()["digest"]["sha256"].as_str().unwrap().to_owned()
    };
    // sha256 of "content\n" and of "1\n".
    assert_eq!(of("g"), "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53");
    assert_eq!(of("f"), "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865");
    let mode = fs_err::metadata(sandbox.project().join("out/x-provenance.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    let mut tar = tar::Archive::new(std::io::Cursor::new(sandbox.read("o.tar")));
    let mut found = None;
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().to_str() == Some("provenance.json") {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
            found = Some(parse(&text));
        }
    }
    assert_eq!(found.unwrap()["subject"], statement["subject"]);
}

#[test]
fn c1_14_metadata_tells_the_provenance() {
    let sandbox = sandbox();
    let about = |sandbox: &Sandbox| {
        words(sandbox, &["--metadata-file", "m", "-t", "x"], 0);
        parse(&sandbox.read("m"))["buildx.build.provenance"].clone()
    };
    let brief = about(&sandbox);
    assert_eq!(brief["invocation"]["parameters"]["frontend"], "dockerfile.v0");
    assert_eq!((brief.get("metadata"), brief.get("buildConfig")), (None, None));
    let sandbox = sandbox.env("BUILDX_METADATA_PROVENANCE", "max");
    let full = about(&sandbox);
    assert!(full["metadata"]["buildStartedOn"].is_string(), "{full}");
    assert!(full["buildConfig"]["llbDefinition"].is_array(), "{full}");
    let sandbox = sandbox.env("BUILDX_METADATA_PROVENANCE", "disabled");
    assert_eq!(about(&sandbox), Value::Null);
}

#[test]
fn e_10_the_store_keeps_what_is_said() {
    let sandbox = sandbox();
    assert_eq!(build(&sandbox, ["--provenance=mode=min,inline-only=true"]), "");
    let listed_images = sandbox.gantry(["images", "-q"]).success().stdout;
    assert_eq!(listed_images.lines().count(), 2, "the base and the image: {listed_images}");
    let printed = sandbox.gantry(["run", "--rm", "x", "cat", "/g"]).success().stdout;
    assert_eq!(printed, "content\n");
    // Nothing of it goes while the image is there.
    sandbox.gantry(["prune", "-f"]).success();
    sandbox.gantry(["fsck"]).success();
    sandbox.gantry(["save", "--format", "oci-dir", "-o", "l", "x"]).success();
    let index = blob(&sandbox, &listed(&sandbox)["digest"]);
    let manifest = blob(&sandbox, &index["manifests"][1]["digest"]);
    let statement = blob(&sandbox, &manifest["layers"][0]["digest"]);
    let image = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], image.strip_prefix("sha256:").unwrap());
    // Another store takes the image out of it, and what is loaded carries nothing.
    let there = Sandbox::new();
    there.gantry(["load", "-i", sandbox.project().join("l").to_str().unwrap()]).success();
    let printed = there.gantry(["run", "--rm", "x", "cat", "/g"]).success().stdout;
    assert_eq!(printed, "content\n");
    fs_err::remove_dir_all(sandbox.project().join("l")).unwrap();
    assert_eq!(build(&sandbox, ["--load", "--provenance=true"]), "");
    sandbox.gantry(["save", "--format", "oci-dir", "-o", "l", "x"]).success();
    assert_eq!(listed(&sandbox)["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    sandbox.gantry(["rmi", "x"]).success();
    sandbox.gantry(["fsck"]).success();
}
