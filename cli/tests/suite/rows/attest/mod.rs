//! Attestations (C1-21, E-10, E-11): what is said of a result, in BuildKit's forms.

mod places;
mod sbom;
mod sources;

use serde_json::{Value, json};

use super::project;
use crate::sandbox::Sandbox;

const TEXT: &str = "FROM busybox\nARG X=1\nRUN --network=none echo \"$X\" > /f\nCOPY g /\n";

/// A project whose build takes an argument, runs a step and copies a file.
fn sandbox() -> Sandbox {
    let sandbox = project(TEXT);
    sandbox.write("g", "content\n");
    sandbox
}

fn words(sandbox: &Sandbox, flags: &[&str], code: i32) -> String {
    let all = [&["build"][..], flags, &["."]].concat();
    sandbox.gantry_words(&all).code(code).stderr
}

fn refused(flags: &[&str]) -> String {
    let shown = words(&project("FROM busybox\n"), flags, 1);
    shown.lines().next().unwrap_or_default().to_owned()
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// A document of the layout `l`.
fn blob(sandbox: &Sandbox, digest: &Value) -> Value {
    let path = digest.as_str().unwrap().replace(':', "/");
    parse(&sandbox.read(&format!("l/blobs/{path}")))
}

/// The one thing that the layout `l` lists.
fn listed(sandbox: &Sandbox) -> Value {
    let layout = parse(&sandbox.read("l/index.json"));
    assert_eq!(layout["manifests"].as_array().unwrap().len(), 1);
    layout["manifests"][0].clone()
}

/// Builds into the layout `l`; returns its index and the statements.
fn attested(sandbox: &Sandbox, flags: &[&str]) -> (Value, Vec<Value>) {
    words(sandbox, &[flags, &["-o", "type=oci,dest=l,tar=false"]].concat(), 0);
    let listed = listed(sandbox);
    assert_eq!(listed["mediaType"], "application/vnd.oci.image.index.v1+json");
    let index = blob(sandbox, &listed["digest"]);
    let manifest = blob(sandbox, &index["manifests"][1]["digest"]);
    let layers = manifest["layers"].as_array().unwrap().iter();
    (index, layers.map(|layer| blob(sandbox, &layer["digest"])).collect())
}

fn platform() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{arch}")
}

/// An image is one manifest unless asked otherwise (G-13).
#[test]
fn c1_21_nothing_is_said_unless_asked_for() {
    for flags in [
        &[][..],
        &["--provenance=false", "--sbom=false"],
        &["--attest", "type=provenance,disabled=true"],
        // Only for images in a store or a registry.
        &["--provenance=mode=min,inline-only=true"],
    ] {
        let sandbox = project("FROM busybox\n");
        words(&sandbox, &[flags, &["-o", "type=oci,dest=l,tar=false"]].concat(), 0);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        assert_eq!(listed(&sandbox)["mediaType"], kind, "{flags:?}");
    }
}

#[test]
fn c1_21_mistakes() {
    for (flags, error) in [
        (&["--attest", "mode=max"][..], "attestation type not specified"),
        (&["--attest", "type=x"], "failed to solve: unknown attestation type \"x\""),
        (&["--provenance", "mode=x"], "failed to solve: invalid mode \"x\""),
        (
            &["--attest", "type=provenance", "--provenance=true"],
            "duplicate attestation field provenance",
        ),
        (
            &["--provenance=true", "-o", "type=docker,dest=d.tar"],
            "docker exporter does not support exporting manifest lists, use the oci exporter \
             instead",
        ),
    ] {
        assert_eq!(refused(flags), format!("ERROR: {error}"));
    }
    let sandbox = project("FROM busybox\n").env("BUILDX_NO_DEFAULT_ATTESTATIONS", "x");
    let error = words(&sandbox, &[], 1);
    assert!(error.starts_with("ERROR: invalid BUILDX_NO_DEFAULT_ATTESTATIONS: strconv"), "{error}");
}

#[test]
fn c1_21_a_manifest_beside_the_image() {
    let sandbox = sandbox();
    let (index, _) = attested(&sandbox, &["--provenance=true", "-t", "app:1"]);
    let [image, beside] = &index["manifests"].as_array().unwrap()[..] else { panic!("{index}") };
    assert_eq!(image["platform"]["os"], "linux");
    assert_eq!(image.get("annotations"), None);
    assert_eq!(beside["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(beside["platform"], json!({ "architecture": "unknown", "os": "unknown" }));
    assert_eq!(
        beside["annotations"],
        json!({
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        })
    );
    let manifest = blob(&sandbox, &beside["digest"]);
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
    let kind = json!({ "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" });
    assert_eq!(layer["annotations"], kind);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    assert_eq!(
        blob(&sandbox, &manifest["config"]["digest"]),
        json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        })
    );
    assert!(manifest.get("subject").is_none());
    // As an artifact, it names the image itself.
    fs_err::remove_dir_all(sandbox.project().join("l")).unwrap();
    words(&sandbox, &["--provenance=true", "-o", "type=oci,dest=l,tar=false,oci-artifact=true"], 0);
    let index = blob(&sandbox, &listed(&sandbox)["digest"]);
    let manifest = blob(&sandbox, &index["manifests"][1]["digest"]);
    let artifact = "application/vnd.docker.attestation.manifest.v1+json";
    assert_eq!(manifest["artifactType"], artifact);
    assert_eq!(manifest["subject"]["digest"], index["manifests"][0]["digest"]);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    assert_eq!(blob(&sandbox, &manifest["config"]["digest"]), json!({}));
}

#[test]
fn c1_21_what_a_provenance_says_at_most() {
    let sandbox = sandbox().at_time(1_714_564_800);
    sandbox.write("s", "secret");
    let text = "FROM busybox\nARG X=1\nRUN --network=none --mount=type=secret,id=s echo $X > /f\n\
                COPY g /\n";
    sandbox.write("Dockerfile", text);
    let flags = [
        "--attest",
        "type=provenance,mode=max,builder-id=https://ci/1",
        "--build-arg=X=2",
        "--label=l=m",
        "--secret=id=s,src=s",
        "-t=app:1",
    ];
    let (index, statements) = attested(&sandbox, &flags);
    let mut statement = statements[0].clone();
    let predicate = statement["predicate"].take();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let escaped = platform().replace('/', "%2F");
    assert_eq!(
        statement,
        json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{
                "name": format!("pkg:docker/app@1?platform={escaped}"),
                "digest": { "sha256": digest },
            }],
            "predicate": null,
        })
    );
    assert_eq!(predicate["builder"], json!({ "id": "https://ci/1" }));
    assert_eq!(predicate["buildType"], "https://mobyproject.org/buildkit@v1");
    let material = format!("pkg:docker/busybox@latest?platform={escaped}");
    assert_eq!(predicate["materials"][0]["uri"], material);
    assert_eq!(
        predicate["invocation"],
        json!({
            "configSource": { "entryPoint": "Dockerfile" },
            "parameters": {
                "frontend": "dockerfile.v0",
                "args": {
                    "build-arg:SOURCE_DATE_EPOCH": "1714564800",
                    "build-arg:X": "2",
                    "label:l": "m",
                },
                "secrets": [{ "id": "s", "optional": true }],
                "locals": [{ "name": "context" }, { "name": "dockerfile" }],
            },
            "environment": { "platform": platform() },
        })
    );
    let mut metadata = predicate["metadata"].clone();
    let own = metadata["https://mobyproject.org/buildkit@v1#metadata"].take();
    assert_eq!(metadata["buildInvocationID"].as_str().unwrap().len(), 25);
    metadata["buildInvocationID"].take();
    assert_eq!(
        metadata,
        json!({
            "buildInvocationID": null,
            "buildStartedOn": "2024-05-01T12:00:00Z",
            "buildFinishedOn": "2024-05-01T12:00:00Z",
            "completeness": { "parameters": true, "environment": true, "materials": false },
            "reproducible": false,
            "https://mobyproject.org/buildkit@v1#metadata": null,
        })
    );
    let steps = &predicate["buildConfig"]["llbDefinition"];
    let find = |kind: &str| {
        let steps = steps.as_array().unwrap();
        steps.iter().find(|step| step["op"]["Op"].get(kind).is_some()).unwrap().clone()
    };
    let exec = find("exec");
    assert_eq!(exec["op"]["Op"]["exec"]["meta"]["args"][2], "echo $X > /f");
    assert_eq!(exec["op"]["Op"]["exec"]["mounts"][0], json!({ "dest": "/" }));
    assert_eq!(exec["op"]["Op"]["exec"]["mounts"][1]["secretOpt"]["ID"], "s");
    assert_eq!(exec["op"]["Op"]["exec"]["network"], 2);
    assert_eq!(exec["inputs"], json!(["step0:0"]));
    let copy = &find("file")["op"]["Op"]["file"]["actions"][0];
    assert_eq!((&copy["input"], &copy["secondaryInput"]), (&json!(0), &json!(1)));
    assert_eq!(
        (&copy["Action"]["copy"]["src"], &copy["Action"]["copy"]["dest"]),
        (&json!("/g"), &json!("/"))
    );
    assert_eq!(steps.as_array().unwrap().last().unwrap()["op"], json!({ "Op": {} }));
    assert_eq!(own["source"]["infos"][0]["filename"], "Dockerfile");
    let exec_place = &own["source"]["locations"][exec["id"].as_str().unwrap()];
    assert_eq!(exec_place["locations"][0]["ranges"][0]["start"]["line"], 3);
    let layers = own["layers"].as_object().unwrap();
    let image = blob(&sandbox, &index["manifests"][0]["digest"]);
    assert!(layers.values().any(|chain| chain[0] == image["layers"]), "{layers:?}");
    // A secret's value is nowhere.
    assert!(!statements[0].to_string().contains("secret\""), "{}", statements[0]);
}

#[test]
fn c1_21_what_a_provenance_says_at_least_and_in_slsa_1() {
    let sandbox = sandbox();
    let flags = ["--provenance=mode=min,version=v1,reproducible=true", "--build-arg=X=2"];
    let (_, statements) = attested(&sandbox, &flags);
    let statement = &statements[0];
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(statement["subject"][0]["name"], "_");
    let mut predicate = statement["predicate"].clone();
    let invocation = predicate["runDetails"]["metadata"]["invocationID"].take();
    assert_eq!(invocation.as_str().unwrap().len(), 25);
    let dependencies = predicate["buildDefinition"]["resolvedDependencies"].take();
    assert_eq!(dependencies.as_array().unwrap().len(), 1);
    assert_eq!(
        predicate,
        json!({
            "buildDefinition": {
                "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/\
                              slsa-definitions.md",
                "resolvedDependencies": null,
                "externalParameters": {
                    "configSource": { "path": "Dockerfile" },
                    "request": {
                        "frontend": "dockerfile.v0",
                        "locals": [{ "name": "context" }, { "name": "dockerfile" }],
                    },
                },
                "internalParameters": { "builderPlatform": platform() },
            },
            "runDetails": {
                "builder": { "id": "" },
                "metadata": {
                    "invocationID": null,
                    "buildkit_metadata": {},
                    "buildkit_completeness": { "request": false, "resolvedDependencies": false },
                    "buildkit_reproducible": true,
                },
            },
        })
    );
}

/// With SOURCE_DATE_EPOCH, another store at another moment says the very same.
#[test]
fn c1_21_the_same_input_is_spoken_of_in_the_same_bytes() {
    let one = || {
        // The base image has a time, too.
        let files = [("Dockerfile", TEXT), ("g", "content\n")];
        let sandbox = Sandbox::with(files).at_time(1_714_564_800).with_busybox();
        let flags = ["--provenance=mode=max", "-t=app", "-o=type=oci,dest=o.tar"];
        words(&sandbox, &flags, 0);
        sandbox.read("o.tar")
    };
    let (first, second) = (one(), one());
    assert!(first == second, "two archives of the same input differ");
}
