//! Bills of materials (C1-21, E-11, B7-15): made by an image that the test brings along, by
//! BuildKit's scanning protocol.

use serde_json::{Value, json};

use super::super::project;
use crate::sandbox::Sandbox;

/// A generator: a document for the result, and one for each of the extras. It lists the files of
/// each, can't write to what it looks through, and tells what it was told.
const SCAN: &str = r#"set -e
scan() {
    name=$(basename "$1")
    files=$(cd "$1" && find . -maxdepth 1 -type f | sort | sed 's/^\.\(.*\)$/{"fileName":"\1"},/')
    writable=no
    touch "$1/new" 2>/dev/null && writable=yes
    cat > "$BUILDKIT_SCAN_DESTINATION/$name.spdx.json" <<END
{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",
"predicate":{"spdxVersion":"SPDX-2.3","name":"$name","comment":"$WHO $BUILDKIT_SCAN_MORE $writable",
"creationInfo":{"creators":["Tool: test"]},"files":[${files%,}]}}
END
}
scan "$BUILDKIT_SCAN_SOURCE"
for extra in "$BUILDKIT_SCAN_SOURCE_EXTRAS"/*; do
    [ -z "$BUILDKIT_SCAN_SOURCE_EXTRAS" ] || scan "$extra"
done
"#;

/// A project with this Dockerfile, and the generator `scanner` in the store.
fn scanned(text: &str) -> Sandbox {
    let sandbox = project(
        "FROM busybox\nCOPY scan /\nENV WHO=me\nENTRYPOINT [\"/bin/sh\"]\nCMD [\"/scan\"]\n",
    );
    sandbox.write("scan", SCAN);
    sandbox.gantry(["build", "-q", "-t", "scanner", "."]).success();
    sandbox.write("Dockerfile", text);
    fs_err::remove_file(sandbox.project().join("scan")).unwrap();
    sandbox.write("one", "1");
    sandbox.write("two", "2");
    sandbox
}

fn words(sandbox: &Sandbox, flags: &[&str], code: i32) -> String {
    let all = [&["build", "--progress=plain"][..], flags, &["."]].concat();
    sandbox.gantry_words(&all).code(code).stderr
}

fn json(sandbox: &Sandbox, path: &str) -> Value {
    serde_json::from_slice(&sandbox.read(path)).unwrap()
}

fn blob(sandbox: &Sandbox, digest: &Value) -> Value {
    json(sandbox, &format!("l/blobs/{}", digest.as_str().unwrap().replace(':', "/")))
}

/// What the layout `l` holds: the image's manifest, and the statements about it.
fn said(sandbox: &Sandbox) -> (Value, Value, Vec<Value>) {
    let digest = json(sandbox, "l/index.json")["manifests"][0]["digest"].clone();
    let index = blob(sandbox, &digest);
    let image = index["manifests"][0]["digest"].clone();
    let manifest = blob(sandbox, &index["manifests"][1]["digest"]);
    let layers = manifest["layers"].as_array().unwrap().iter();
    let said = layers.map(|layer| blob(sandbox, &layer["digest"])).collect();
    (blob(sandbox, &image), image, said)
}

fn files(statement: &Value) -> Vec<&str> {
    let files = statement["predicate"]["files"].as_array().unwrap().iter();
    files.map(|file| file["fileName"].as_str().unwrap()).collect()
}

#[test]
fn c1_21_a_generator_looks_through_the_result() {
    let sandbox = scanned("FROM scratch\nCOPY one /\nCOPY two /\n");
    let flags = ["--sbom=generator=scanner,MORE=told", "--provenance=mode=min", "-t", "app:1"];
    let output = ["-o", "type=oci,dest=l,tar=false"];
    let told = words(&sandbox, &[&flags[..], &output].concat(), 0);
    assert!(told.contains("generating sbom using docker.io/library/scanner:latest"), "{told}");
    let (image, digest, said) = said(&sandbox);
    let [sbom, provenance] = &said[..] else { panic!("{said:?}") };
    assert_eq!(sbom["_type"], "https://in-toto.io/Statement/v0.1");
    assert_eq!(sbom["predicateType"], "https://spdx.dev/Document");
    let digest = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert_eq!(sbom["subject"][0]["digest"]["sha256"], digest);
    assert_eq!(sbom["subject"], provenance["subject"]);
    let document = &sbom["predicate"];
    assert_eq!(document["name"], "sbom");
    assert_eq!(document["comment"], "me told no", "it can't write into the result");
    assert_eq!(files(sbom), ["/one", "/two"]);
    for (number, file) in document["files"].as_array().unwrap().iter().enumerate() {
        let layer = image["layers"][number]["digest"].as_str().unwrap();
        assert_eq!(file["comment"], format!("layerID: {layer}"));
    }
    let creators = document["creationInfo"]["creators"].as_array().unwrap();
    assert_eq!(creators[0], "Tool: test");
    assert!(creators[1].as_str().unwrap().starts_with("Tool: gantry-"), "{creators:?}");
    // The generator is one of the things that went into it, and no layer of the image.
    let materials = provenance["predicate"]["materials"].to_string();
    assert!(materials.contains("pkg:docker/scanner@latest"), "{materials}");
    assert_eq!(image["layers"].as_array().unwrap().len(), 2);
    // Again, it does not run; another result is looked through anew.
    let told = words(&sandbox, &[&flags[..], &["-o", "type=local,dest=out"]].concat(), 0);
    let block = |told: &str| {
        told.split("\n\n").find(|block| block.contains("generating sbom")).unwrap().to_owned()
    };
    assert!(block(&told).contains("CACHED"), "{told}");
    let beside = json(&sandbox, "out/sbom.spdx.json");
    let names = beside["subject"].as_array().unwrap().iter().map(|subject| &subject["name"]);
    assert_eq!(names.collect::<Vec<_>>(), [&json!("one"), &json!("two")]);
    sandbox.write("one", "3");
    assert!(!block(&words(&sandbox, &flags, 0)).contains("CACHED"));
}

#[test]
fn b7_15_stages_and_the_context_are_looked_through_on_demand() {
    let sandbox = scanned(
        "FROM scratch AS first\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY one /in-first\n\
         FROM scratch AS second\nCOPY one /in-second\n\
         FROM scratch\nARG BUILDKIT_SBOM_SCAN_CONTEXT=1\nCOPY --from=first /in-first /\n\
         COPY --from=second /in-second /\n",
    );
    let flags = ["--attest", "type=sbom,generator=scanner", "-o", "type=oci,dest=l,tar=false"];
    words(&sandbox, &flags, 0);
    let (_, _, all) = said(&sandbox);
    let names: Vec<_> =
        all.iter().map(|said| said["predicate"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sbom", "sbom-context", "sbom-first"]);
    assert_eq!(files(&all[0]), ["/in-first", "/in-second"]);
    assert_eq!(files(&all[1]), ["/Dockerfile", "/one", "/two"]);
    assert_eq!(files(&all[2]), ["/in-first"]);
    // For all stages at once, or some of them by name.
    fs_err::remove_dir_all(sandbox.project().join("l")).unwrap();
    let arg = ["--build-arg", "BUILDKIT_SBOM_SCAN_STAGE=second,other"];
    sandbox.write(
        "Dockerfile",
        "ARG BUILDKIT_SBOM_SCAN_STAGE\nFROM scratch AS first\nCOPY one /in-first\n\
         FROM scratch AS second\nCOPY one /in-second\n\
         FROM scratch\nCOPY --from=first /in-first /\nCOPY --from=second /in-second /\n",
    );
    words(&sandbox, &[&flags[..], &arg].concat(), 0);
    let (_, _, all) = said(&sandbox);
    let names: Vec<_> =
        all.iter().map(|said| said["predicate"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sbom", "sbom-second"]);
}

#[test]
fn c1_21_generators_that_do_not_do() {
    let sandbox = scanned("FROM scratch\nCOPY one /\n");
    sandbox.write("gen/Dockerfile", "FROM busybox\nENTRYPOINT []\nCMD [\"true\"]\n");
    sandbox.gantry(["build", "-q", "-t", "silent", "gen"]).success();
    sandbox.write("gen/Dockerfile", "FROM busybox\nENTRYPOINT []\nCMD []\n");
    sandbox.gantry(["build", "-q", "-t", "nothing", "gen"]).success();
    sandbox.write("gen/Dockerfile", "FROM busybox\nCMD [\"sh\", \"-c\", \"echo no; exit 3\"]\n");
    sandbox.gantry(["build", "-q", "-t", "broken", "gen"]).success();
    for (generator, error) in [
        ("silent", "silent:latest wrote no SBOM into /run/out/"),
        ("nothing", "scanner docker.io/library/nothing:latest does not have cmd"),
        ("broken", "exit code: 3"),
    ] {
        let shown = words(&sandbox, &[&format!("--sbom=generator={generator}")], 1);
        assert!(shown.contains(error), "{generator}: {shown}");
    }
    let images = sandbox.gantry(["images", "-q", "-a"]).success().stdout;
    assert_eq!(images.lines().count(), 5, "nothing is made: {images}");
}
