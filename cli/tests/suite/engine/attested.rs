//! What BuildKit and gantry say about the same image beside it: every field of the index, of the
//! manifest of attestations, of its config and of the statements, side by side.

use std::collections::BTreeMap;

use serde_json::Value;

use super::allowed::Differences;
use super::cases::CONTEXT;
use super::image::{leaves, members};
use super::{Engine, Store};

/// Each with a name and how much is to be said.
const CASES: [(&str, &str, &str); 6] = [
    ("min", "min", STEPS),
    ("steps", "max", STEPS),
    (
        "mounts",
        "max",
        "FROM busybox AS one\nRUN echo 1 > /one\nFROM busybox AS two\nRUN mkdir /two\n\
         FROM one\nRUN --mount=type=bind,from=two,target=/z --mount=type=bind,from=one,target=/y \
         --mount=type=cache,from=two,source=/two,target=/b,id=k,sharing=locked \
         --mount=type=bind,from=two,source=two,target=/a,rw \
         --mount=type=secret,id=s,target=s,mode=0444 --mount=type=tmpfs,target=/t,size=65536 true\n",
    ),
    (
        "files",
        "max",
        "FROM scratch\nWORKDIR /w/x\nCOPY ctx/a ctx/d* ./\nADD --chown=7 ctx/b /b\n\
         COPY --chmod=600 ctx/dir /e/\n",
    ),
    ("link", "max", "FROM busybox\nCOPY --link ctx/a /l\n"),
    ("heredoc", "max", "FROM busybox\nCOPY <<EOF /inline\ntext\nEOF\n"),
];

const STEPS: &str = "FROM busybox AS tools\nRUN echo 1 > /one\n\
    FROM busybox\nARG X=1\nLABEL a=b\nENV E=e\n\
    RUN --mount=type=secret,id=s --mount=type=cache,target=/c --mount=type=tmpfs,target=/t \
    --mount=type=bind,from=tools,source=/one,target=/m echo \"$X\" > /f\n\
    WORKDIR /w\nCOPY --chown=1:2 --chmod=640 ctx/a ctx/d* ./\nCOPY --from=tools /one /two\n\
    USER 7\nRUN --network=none true\n";

/// Where the two differ and may: what a line of the comparison looks like, and why.
const ALLOWED: [(&str, &str); 17] = [
    (
        "* buildkit layout.manifests[0].annotations.org.opencontainers.image.created = ",
        "nothing that gantry exports holds the time of the clock",
    ),
    ("* buildkit *.digestMapping.sha256:", "digests of LLB in protobuf, which gantry has none of"),
    ("* buildkit *.attrs.image.resolvemode = \"local\"", "this engine's driver asks its own store"),
    ("* buildkit *.exec.mounts[*].input = 0", "later versions leave out zeros"),
    ("* buildkit *.exec.mounts[*].output = 0", "likewise"),
    ("* gantry *.exec.mounts[*].input = -1", "later versions say that a secret has no input"),
    ("* buildkit *.exec.meta.env = [", "in the order of the Dockerfile"),
    ("* gantry *.exec.meta.env = [", "sorted, so that the order is no reason to run a step again"),
    (
        "steps gantry *.attrs.local.followpaths = ",
        "BuildKit takes a whole context once a step mounts a cache, a secret or memory",
    ),
    ("mounts buildkit *.exec.mounts[6].dest = \"s\"", "as it is written"),
    ("mounts gantry *.exec.mounts[6].dest = \"/s\"", "where the file is"),
    (
        "* buildkit *.locations.step0.locations[",
        "every line that names an image, in no order; gantry has the first",
    ),
    ("link * *.llbDefinition[", "a layer laid upon others, and no merge of two trees"),
    ("link * *#metadata.", "likewise, where these steps stand and what they made"),
    ("heredoc * *.llbDefinition[", "written where it belongs, and no step of its own"),
    ("heredoc * *#metadata.layers.", "likewise, what the steps made"),
    ("heredoc * *#metadata.source.locations.", "one range of lines, and not one for each"),
];

/// The documents of an archive, each with what it is, and a name for every digest.
struct Archive {
    members: BTreeMap<String, Vec<u8>>,
    documents: Vec<(String, Value)>,
    names: BTreeMap<String, String>,
}

impl Archive {
    /// Reads an archive of one image and what is said about it.
    fn read(bytes: &[u8]) -> Self {
        let members = members(bytes);
        let mut archive = Self { members, documents: Vec::new(), names: BTreeMap::new() };
        let layout: Value = serde_json::from_slice(&archive.members["index.json"]).unwrap();
        let index = archive.document(&layout["manifests"][0], "index");
        archive.documents.push(("layout".to_owned(), layout));
        for entry in index["manifests"].as_array().unwrap() {
            let about = entry["annotations"]["vnd.docker.reference.type"].as_str();
            let kind = about.unwrap_or("image");
            let manifest = archive.document(entry, kind);
            let _ = archive.document(&manifest["config"], &format!("config of {kind}"));
            for (number, layer) in manifest["layers"].as_array().unwrap().iter().enumerate() {
                let name = format!("layer {number} of {kind}");
                match about {
                    Some(_) => drop(archive.document(layer, &name)),
                    None => drop(archive.blob(layer, &name)),
                }
            }
        }
        archive
    }

    /// Takes what a descriptor names, which must be there, of that size.
    fn blob(&mut self, descriptor: &Value, name: &str) -> &[u8] {
        let digest = descriptor["digest"].as_str().unwrap();
        self.names.insert(digest["sha256:".len()..].to_owned(), format!("<{name}>"));
        let blob = &self.members[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(descriptor["size"], blob.len(), "{name}");
        blob
    }

    fn document(&mut self, descriptor: &Value, name: &str) -> Value {
        let value: Value = serde_json::from_slice(self.blob(descriptor, name)).unwrap();
        // The image itself is compared elsewhere.
        if !name.ends_with("image") {
            self.documents.push((name.to_owned(), value.clone()));
        }
        value
    }

    /// A line for each field. Digests, sizes and times stand as what they are.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, document) in &self.documents {
            leaves(name, document, &mut lines);
        }
        lines.iter().map(|line| self.named(line)).collect()
    }

    fn named(&self, line: &str) -> String {
        let (path, value) = line.split_once(" = ").unwrap();
        let rename = |text: &str| {
            self.names.iter().fold(text.to_owned(), |text, (hex, name)| text.replace(hex, name))
        };
        let value = match path.rsplit('.').next().unwrap() {
            "size" if !path.ends_with(".TmpfsOpt.size") => "SIZE".to_owned(),
            "buildInvocationID" => {
                let id = value.trim_matches('"');
                assert!(id.len() == 25 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{line}");
                "ID".to_owned()
            }
            "buildStartedOn" | "buildFinishedOn" => {
                let time: Result<jiff::Timestamp, _> = value.trim_matches('"').parse();
                assert!(time.is_ok(), "{line}");
                "TIME".to_owned()
            }
            _ => rename(value),
        };
        // BuildKit tells places of one step in any order.
        format!("{} = {value}", rename(path).replace(".locations[1].", ".locations[0]."))
    }
}

#[test]
fn buildkit_and_gantry_say_the_same_of_an_image() {
    let Some(engine) = Engine::start(Store::Containerd) else { return };
    let sandbox = &engine.sandbox;
    for (path, content) in CONTEXT {
        sandbox.write(path, content);
    }
    sandbox.write(".dockerignore", "# none\n/x/\n ! x/y \n**/z\n");
    let mut differences = Differences::but_for(&ALLOWED);
    for (case, mode, text) in CASES {
        sandbox.write("Dockerfile", text);
        let provenance = format!("--provenance=mode={mode},builder-id=https://ci/1");
        let flags = [
            "-t=app:1",
            "--network=host",
            "--build-arg=X=2",
            "--label=l=m",
            "--secret=id=s,src=Dockerfile",
            "--ulimit=nofile=100:200",
            "--add-host=h:1.2.3.4",
            &provenance,
        ];
        let output =
            |dest: &str| format!("-o=type=oci,dest={dest},compression=gzip,force-compression=true");
        let (theirs, ours) = (output("theirs.tar"), output("ours.tar"));
        engine.docker(&[&["buildx", "build", "-q"], &flags[..], &[&theirs, "."]].concat());
        let ours = [&["build", "-q", "--allow=network.host"], &flags[..], &[&ours, "."]].concat();
        let _ = sandbox.gantry_words(&ours).success();
        let theirs = Archive::read(&sandbox.read("theirs.tar")).lines();
        let ours = Archive::read(&sandbox.read("ours.tar")).lines();
        differences.compare(case, &theirs, &ours);
    }
    differences.check();
}

/// What buildx says of its own accord is for images in stores and registries: an archive stays the
/// one manifest that gantry writes everywhere.
#[test]
fn buildkit_and_gantry_say_nothing_in_archives_unless_asked() {
    let Some(engine) = Engine::start(Store::Containerd) else { return };
    let sandbox = &engine.sandbox;
    sandbox.write("Dockerfile", "FROM busybox\n");
    let build = ["buildx", "build", "-q", "-o=type=oci,dest=theirs.tar", "."];
    let mut theirs = engine.client(&build);
    let mut ours = sandbox.command(["build", "-q", "-o=type=oci,dest=ours.tar", "."]);
    for command in [&mut theirs, &mut ours] {
        let _ = sandbox.run(command.env_remove("BUILDX_NO_DEFAULT_ATTESTATIONS")).success();
    }
    for name in ["theirs.tar", "ours.tar"] {
        let members = members(&sandbox.read(name));
        let layout: Value = serde_json::from_slice(&members["index.json"]).unwrap();
        let kind = &layout["manifests"][0]["mediaType"];
        assert_eq!(kind, "application/vnd.oci.image.manifest.v1+json", "{name}");
    }
}
