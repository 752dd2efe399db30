//! Bills of materials, by BuildKit's scanning protocol (`docs/attestations/sbom-protocol.md`).
//!
//! The scan is a step as any other: an image is run with the result mounted read-only, so it is
//! cached, shown and locked in as a RUN is. What it writes into `/run/out/` is read back: in-toto
//! statements, as BuildKit's own generator writes them, or SPDX documents as they are.

use std::collections::BTreeMap;
use std::io::Read;

use gantry_image::{ImageConfig, Platform};
use gantry_solver::op::{ContextOp, EnvVar, ImageOp, MakeDirOp, Mount, RunOp, Selection};
use gantry_solver::store::Place;
use gantry_solver::{Graph, Op, ResolvedImage, Role, Snapshot, Vertex, VertexId};
use gantry_tree::{Follow, TreePath};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Sbom;
use super::statement::{Body, Predicate, Subject};
use crate::export::Assembled;
use crate::work::{Executor, Stack, layer_ref};

/// Where the root filesystem of the result lies.
const CORE: &str = "/run/src/core/sbom";
/// Below it lie others, such as that of a stage.
const EXTRAS: &str = "/run/src/extras/";
/// Where the scanner writes to.
const OUT: &str = "/run/out/";
/// What a document is.
const SPDX: &str = "https://spdx.dev/Document";
/// A document that is larger is refused.
const LIMIT: u64 = 80 << 20;

/// What was found, of one file.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The file's name.
    name: String,
    kind: String,
    subjects: Vec<Subject>,
    document: Value,
}

/// The steps that look through a result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    /// The generator.
    pub(crate) image: VertexId,
    /// Whose root filesystem holds what was found.
    pub(crate) result: VertexId,
}

/// Adds the steps that look through `target`.
///
/// # Errors
/// The generator says nothing of what to run.
pub(crate) fn add_scan(
    graph: &mut Graph,
    sbom: &Sbom,
    generator: &ResolvedImage,
    scanned: &Scanned<'_>,
) -> Result<Scan, String> {
    let config: &ImageConfig = &generator.config;
    let argv: Vec<String> =
        config.config.entrypoint.iter().chain(&config.config.cmd).cloned().collect();
    if argv.is_empty() {
        return Err(format!("scanner {} does not have cmd", generator.reference));
    }
    let host = Platform::host().to_string();
    let op = Op::Image(ImageOp {
        reference: generator.reference.clone(),
        config: generator.config_digest.clone(),
        platform: host.clone(),
        layers: generator.layers.clone(),
    });
    let title = format!("[{}] FROM {}", scanned.platform, generator.reference);
    let image = graph.add(Vertex::new(op, title), &[]);
    let out = MakeDirOp { path: OUT.trim_end_matches('/').to_owned(), mode: 0o755, user: None };
    let title = format!("[{}] prepare {}", scanned.platform, generator.reference);
    let mut vertex = Vertex::new(Op::MakeDir(out), title);
    vertex.place = place("prepare");
    let prepared = graph.add(vertex, &[(Role::Base, image)]);

    let mut inputs = vec![(Role::Base, prepared), (Role::Mount(0), scanned.target)];
    let bind = |target: String, input| Mount::Bind {
        target,
        input,
        source: String::new(),
        read_only: true,
    };
    let tmp = Mount::Tmpfs { target: "/tmp".to_owned(), size: None };
    let mut mounts = vec![tmp, bind(CORE.to_owned(), 0)];
    let mut extras: Vec<(String, VertexId)> = scanned.stages.to_vec();
    if scanned.context {
        let context = ContextOp { name: ContextOp::MAIN.to_owned(), selection: Selection::of("") };
        let title = "[internal] load build context";
        extras
            .push(("context".to_owned(), graph.add(Vertex::new(Op::Context(context), title), &[])));
    }
    for ((name, input), number) in extras.iter().zip(1..) {
        inputs.push((Role::Mount(number), *input));
        mounts.push(bind(format!("{EXTRAS}sbom-{name}"), number));
    }
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    for variable in &config.config.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        env.insert(name.to_owned(), value.to_owned());
    }
    env.insert("BUILDKIT_SCAN_DESTINATION".to_owned(), OUT.to_owned());
    env.insert("BUILDKIT_SCAN_SOURCE".to_owned(), CORE.to_owned());
    if !extras.is_empty() {
        env.insert("BUILDKIT_SCAN_SOURCE_EXTRAS".to_owned(), EXTRAS.to_owned());
    }
    for (name, value) in &sbom.parameters {
        env.insert(format!("BUILDKIT_SCAN_{name}"), value.clone());
    }
    let cwd = Some(config.config.working_dir.clone()).filter(|dir| !dir.is_empty());
    let run = RunOp {
        argv: argv.into_iter().map(Into::into).collect(),
        env: env
            .into_iter()
            .map(|(name, value)| EnvVar { name: name.into(), value: value.into(), arg: false })
            .collect(),
        proxy: [].into(),
        cwd: cwd.map_or_else(|| "/".into(), Into::into),
        user: None,
        mounts,
        network: gantry_solver::op::Network::default(),
        security: gantry_solver::op::Security::default(),
        script: None,
        extra_hosts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
        hostname: None,
        limits: gantry_solver::op::Limits::default(),
        platform: host.into(),
    };
    let title = format!("[{}] generating sbom using {}", scanned.platform, generator.reference);
    let mut vertex = Vertex::new(Op::Run(Box::new(run)), title);
    vertex.place = place("generate");
    let result = graph.add(vertex, &inputs);
    Ok(Scan { image, result })
}

fn place(text: &str) -> Place {
    Place { stage: "sbom".into(), position: 0, text: text.into() }
}

/// What is looked through.
pub(crate) struct Scanned<'a> {
    pub(crate) platform: String,
    pub(crate) target: VertexId,
    /// Stages that want to be looked through as well.
    pub(crate) stages: &'a [(String, VertexId)],
    /// Whether the build context wants to.
    pub(crate) context: bool,
}

/// What of a statement counts here.
#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "predicateType")]
    kind: String,
    #[serde(default)]
    subject: Option<Vec<Spoken>>,
    predicate: Value,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Reads what the scan wrote; what it says of the result itself comes first.
///
/// # Errors
/// There is nothing, or something that is no document.
pub(crate) fn read(
    executor: &Executor,
    snapshot: &Snapshot,
    generator: &str,
) -> Result<Vec<Found>, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("Failed to read what {generator} wrote: {error}");
    let stack = Stack::open(&executor.store, snapshot).map_err(|error| failed(&error))?;
    let view = stack.view();
    let directory = TreePath::clamp(OUT).map_err(|error| failed(&error))?;
    let mut all = Vec::new();
    for (layer, entry) in view.list(&directory) {
        let name = entry.path.file_name().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let real = view.real((layer, entry));
        if real.content().is_none() {
            return Err(format!("{generator} wrote `{name}`, which is no file"));
        }
        if real.size() > LIMIT {
            return Err(format!("{name} exceeds {LIMIT} bytes"));
        }
        let root = stack.root(layer, executor);
        let root = root.map_err(|error| failed(&error))?;
        let mut text = Vec::new();
        let file = root.open_file(&real.path, Follow::Parents).map_err(|error| failed(&error))?;
        file.take(LIMIT).read_to_end(&mut text).map_err(|error| failed(&error))?;
        all.push(parse(name, &text)?);
    }
    if all.is_empty() {
        return Err(format!("{generator} wrote no SBOM into {OUT}"));
    }
    let is_core = |found: &Found| found.name.split('.').next() == Some("sbom");
    all.sort_by_key(|found| !is_core(found));
    Ok(all)
}

fn parse(name: String, text: &[u8]) -> Result<Found, String> {
    let undecoded = |error| format!("cannot decode in-toto statement {name}: {error}");
    let value: Value = serde_json::from_slice(text).map_err(undecoded)?;
    if value.get("predicateType").is_none() && value.get("spdxVersion").is_some() {
        return Ok(Found { name, kind: SPDX.to_owned(), subjects: Vec::new(), document: value });
    }
    let statement: Statement = serde_json::from_value(value).map_err(undecoded)?;
    if statement.kind.starts_with("https://slsa.dev/provenance/") {
        return Err("frontend may not bundle provenance attestations".to_owned());
    }
    let subjects = statement.subject.unwrap_or_default().into_iter();
    let spoken = |spoken: Spoken| Subject {
        name: if spoken.name.is_empty() { "_".to_owned() } else { spoken.name },
        digest: spoken.digest,
    };
    Ok(Found {
        name,
        kind: statement.kind,
        subjects: subjects.map(spoken).collect(),
        document: statement.predicate,
    })
}

impl Found {
    /// What is said; of an image, also in which of its layers each file is.
    pub(super) fn predicate(&self, executor: &Executor, image: Option<&Assembled>) -> Predicate {
        let mut document = self.document.clone();
        if let Some(image) = image.filter(|_| self.kind == SPDX) {
            supplement(&mut document, executor, image);
        }
        Predicate {
            path: self.name.clone(),
            kind: self.kind.clone(),
            subjects: self.subjects.clone(),
            body: Body::Json(document),
            inline_only: false,
        }
    }
}

/// Notes with each file that has no comment the layer that it is in, and who did so.
fn supplement(document: &mut Value, executor: &Executor, image: &Assembled) {
    let snapshot: Snapshot = image.layers.iter().map(|layer| layer_ref(&layer.id)).collect();
    let Ok(stack) = Stack::open(&executor.store, &snapshot) else { return };
    let find = |name: &str| {
        let path = TreePath::clamp(name.trim_start_matches('/')).ok()?;
        let layer =
            (0..stack.len()).rev().find(|layer| stack.manifest(*layer).get(&path).is_some());
        image.manifest.layers.get(layer?).map(|layer| layer.digest)
    };
    if let Some(files) = document.get_mut("files").and_then(Value::as_array_mut) {
        for file in files {
            let commented =
                file.get("comment").and_then(Value::as_str).is_some_and(|c| !c.is_empty());
            let name = file.get("fileName").and_then(Value::as_str);
            if let Some(layer) = name.and_then(find).filter(|_| !commented) {
                file["comment"] = json!(format!("layerID: {layer}"));
            }
        }
    }
    if let Some(document) = document.as_object_mut() {
        let info = document.entry("creationInfo").or_insert_with(|| json!({}));
        if let Some(info) = info.as_object_mut() {
            let creators = info.entry("creators").or_insert_with(|| json!([]));
            if let Some(creators) = creators.as_array_mut() {
                creators.push(json!(concat!("Tool: gantry-", env!("CARGO_PKG_VERSION"))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_bare_or_as_statements() {
        let bare = parse("sbom.spdx.json".to_owned(), br#"{"spdxVersion":"SPDX-2.3"}"#).unwrap();
        assert_eq!((bare.kind.as_str(), bare.subjects.len()), (SPDX, 0));
        let text = br#"{"_type":"x","predicateType":"https://cyclonedx.org/bom","subject":null,
            "predicate":{"a":1}}"#;
        let stated = parse("a.json".to_owned(), text).unwrap();
        assert_eq!(stated.kind, "https://cyclonedx.org/bom");
        assert_eq!(stated.document, json!({ "a": 1 }));
        let forged = br#"{"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}"#;
        assert_eq!(
            parse("a.json".to_owned(), forged).unwrap_err(),
            "frontend may not bundle provenance attestations"
        );
        let error = parse("a.json".to_owned(), b"{").unwrap_err();
        assert!(error.starts_with("cannot decode in-toto statement a.json: "), "{error}");
    }
}
