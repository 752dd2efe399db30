//! The steps of a build in the JSON form of BuildKit's LLB (`solver/pb/ops.proto`), which is how a
//! provenance tells them.
//!
//! What the two have in common is written as BuildKit would write it; digests of LLB's own encoding
//! have no place here, since there is none.

mod file;
mod run;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use gantry_image::Platform;
use gantry_parser::SourceFile;
use gantry_solver::op::{GitOp, HttpOp, ImageOp, Selection, SourcePath};
use gantry_solver::{Graph, Op, Role, VertexId};
use serde_json::{Map, Value, json};

use super::capture::{git_address, image_digest};
use super::slsa::{BuildConfig, BuildStep, Source, SourceInfo};
use crate::work::{Executor, without_password};

/// The steps that a target needs, and their numbers.
pub(super) struct Steps {
    pub(super) numbers: HashMap<VertexId, usize>,
    pub(super) config: BuildConfig,
}

impl Steps {
    pub(super) fn of(graph: &Graph, target: VertexId, executor: &Executor) -> Self {
        let mut numbers = HashMap::new();
        let mut definition = Vec::new();
        let mut contexts: HashMap<&str, usize> = HashMap::new();
        let order = inputs_first(graph, target);
        for &vertex in &order {
            let op = &graph.vertex(vertex).op;
            if let Op::Context(context) = op
                && let Some(number) = contexts.get(context.name.as_str())
            {
                numbers.insert(vertex, *number);
                continue;
            }
            let number = definition.len();
            numbers.insert(vertex, number);
            let inputs = Inputs::of(graph, vertex, &numbers);
            let op = match op {
                Op::Context(context) => {
                    contexts.insert(&context.name, number);
                    local(&context.name, &selections(graph, &order, &context.name), executor)
                }
                op => operation(op, &inputs, executor),
            };
            definition.push(BuildStep {
                id: format!("step{number}"),
                op,
                inputs: inputs.references(),
            });
        }
        // As in LLB, the last one does nothing but name the result.
        let result = numbers.get(&target).map(|number| format!("step{number}:0"));
        definition.push(BuildStep {
            id: format!("step{}", definition.len()),
            op: json!({ "Op": {} }),
            inputs: result.into_iter().collect(),
        });
        Self { numbers, config: BuildConfig { definition } }
    }

    /// Says where the steps stand in the Dockerfile, and what it says.
    pub(super) fn source(&self, graph: &Graph, dockerfile: &SourceFile, path: &str) -> Source {
        let mut locations = BTreeMap::new();
        for (vertex, number) in &self.numbers {
            let Some(span) = graph.vertex(*vertex).span else { continue };
            let (first, last) = dockerfile.line_range(span);
            let range = json!({ "start": { "line": first }, "end": { "line": last } });
            let place = json!({ "locations": [{ "ranges": [range] }] });
            locations.insert(format!("step{number}"), place);
        }
        let local = json!({
            "Op": { "source": {
                "identifier": "local://dockerfile",
                "attrs": {
                    "local.differ": "none",
                    "local.followpaths": looked_for(path),
                    "local.sharedkeyhint": "dockerfile",
                },
            }},
            "constraints": {},
        });
        let steps = vec![
            BuildStep { id: "step0".to_owned(), op: local, inputs: Vec::new() },
            BuildStep {
                id: "step1".to_owned(),
                op: json!({ "Op": {} }),
                inputs: vec!["step0:0".to_owned()],
            },
        ];
        let info = SourceInfo {
            filename: path.to_owned(),
            language: "Dockerfile",
            data: super::base64(dockerfile.text().as_bytes()),
            definition: steps,
        };
        Source { locations, infos: vec![info] }
    }
}

/// The files that a builder looks for when it is to read the Dockerfile `path`.
fn looked_for(path: &str) -> String {
    let mut files = vec![path.to_owned(), format!("{path}.dockerignore")];
    if path == "Dockerfile" {
        files.push(path.to_lowercase());
    }
    json!(files).to_string()
}

/// The steps that a target needs: before each come its inputs, in their order, as BuildKit numbers
/// them. The empty root filesystem is none of LLB's operations.
fn inputs_first(graph: &Graph, target: VertexId) -> Vec<VertexId> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(target, false)];
    while let Some((vertex, has_inputs)) = open.pop() {
        if has_inputs {
            order.push(vertex);
        } else if seen.insert(vertex) && !matches!(graph.vertex(vertex).op, Op::Scratch) {
            open.push((vertex, true));
            let inputs = ordered_inputs(graph, vertex).into_iter().rev();
            open.extend(inputs.map(|(_, input)| (input, false)));
        }
    }
    order
}

/// The inputs of a vertex, in the order in which LLB has them.
fn ordered_inputs(graph: &Graph, vertex: VertexId) -> Vec<(Role, VertexId)> {
    let mut inputs = graph.inputs(vertex);
    if let Op::Run(op) = &graph.vertex(vertex).op {
        let order = run::ordered(&op.mounts);
        inputs.sort_by_key(|(role, _)| {
            order.iter().position(|mount| run::role(mount) == Some(*role))
        });
    }
    inputs
}

/// The inputs of a step: each once, though it may be there for several reasons.
struct Inputs {
    steps: Vec<usize>,
    places: Vec<(Role, usize)>,
}

impl Inputs {
    fn of(graph: &Graph, vertex: VertexId, numbers: &HashMap<VertexId, usize>) -> Self {
        let mut inputs = Self { steps: Vec::new(), places: Vec::new() };
        for (role, input) in ordered_inputs(graph, vertex) {
            let Some(&step) = numbers.get(&input) else { continue };
            let known = inputs.steps.iter().position(|known| *known == step);
            inputs.places.push((role, known.unwrap_or(inputs.steps.len())));
            if known.is_none() {
                inputs.steps.push(step);
            }
        }
        inputs
    }

    fn references(&self) -> Vec<String> {
        self.steps.iter().map(|step| format!("step{step}:0")).collect()
    }

    /// The place of an input in the list; -1 for nothing, as LLB has it.
    fn place(&self, role: Role) -> i64 {
        let found = self.places.iter().find(|(known, _)| *known == role);
        found.and_then(|(_, place)| i64::try_from(*place).ok()).unwrap_or(-1)
    }
}

fn operation(op: &Op, inputs: &Inputs, executor: &Executor) -> Value {
    match op {
        // Not among the steps, and told with all of its kind.
        Op::Scratch | Op::Context(_) => json!({ "Op": {} }),
        Op::Image(op) => image(op, executor),
        Op::Http(op) => http(op),
        Op::Git(op) => git(op),
        Op::Run(op) => run::run(op, inputs),
        Op::Copy(op) => file::copy(op, inputs),
        Op::MakeDir(op) => file::make_dir(op, inputs),
    }
}

fn platform(text: &str) -> Value {
    let platform = text.parse::<Platform>().unwrap_or_else(|_| Platform::host());
    let mut value = json!({ "Architecture": platform.architecture, "OS": platform.os });
    if let Some(variant) = platform.variant {
        value["Variant"] = json!(variant);
    }
    value
}

fn source(identifier: String, attrs: Map<String, Value>) -> Value {
    let mut source = json!({ "identifier": identifier });
    if !attrs.is_empty() {
        source["attrs"] = Value::Object(attrs);
    }
    json!({ "source": source })
}

fn image(op: &ImageOp, executor: &Executor) -> Value {
    let digest = image_digest(executor, op).map(|digest| format!("@{digest}"));
    let digest = digest.filter(|_| !op.reference.contains('@')).unwrap_or_default();
    let scheme = if op.reference.contains("://") { "" } else { "docker-image://" };
    let identifier = format!("{scheme}{}{digest}", op.reference);
    json!({
        "Op": source(identifier, Map::new()),
        "platform": platform(&op.platform),
        "constraints": {},
    })
}

/// All that a target takes of one context.
fn selections<'a>(graph: &'a Graph, order: &[VertexId], name: &str) -> Vec<&'a Selection> {
    let context = |vertex: &VertexId| match &graph.vertex(*vertex).op {
        Op::Context(op) if op.name == name => Some(&op.selection),
        _ => None,
    };
    order.iter().filter_map(context).collect()
}

/// A context is one source for LLB, whatever is taken of it.
fn local(name: &str, selections: &[&Selection], executor: &Executor) -> Value {
    let mut attrs = Map::new();
    let paths = selections.iter().flat_map(|selection| &selection.paths);
    let paths: BTreeSet<String> = paths.map(followed).collect();
    if !paths.contains("") {
        attrs.insert("local.followpaths".to_owned(), json!(json!(paths).to_string()));
    }
    let ignored = executor.contexts.get(name).map(|context| context.rules().patterns());
    if let Some(ignored) = ignored.filter(|ignored| !ignored.is_empty()) {
        attrs.insert("local.excludepatterns".to_owned(), json!(json!(ignored).to_string()));
    }
    attrs.insert("local.sharedkeyhint".to_owned(), json!(name));
    json!({ "Op": source(format!("local://{name}"), attrs), "constraints": {} })
}

/// A source path as it is asked for; `""` for the whole context.
fn followed(path: &SourcePath) -> String {
    match path.base.as_deref().filter(|base| !base.is_empty()) {
        Some(base) => format!("{base}/{}", path.pattern),
        None => path.pattern.clone(),
    }
}

fn http(op: &HttpOp) -> Value {
    let mut attrs = Map::new();
    if let Some(checksum) = &op.checksum {
        attrs.insert("http.checksum".to_owned(), json!(checksum));
    }
    attrs.insert("http.filename".to_owned(), json!(op.name));
    json!({ "Op": source(without_password(&op.url), attrs), "constraints": {} })
}

fn git(op: &GitOp) -> Value {
    let mut attrs = Map::new();
    let address = git_address(op);
    attrs.insert("git.fullurl".to_owned(), json!(without_password(&op.remote)));
    if op.keep_git_dir {
        attrs.insert("git.keepgitdir".to_owned(), json!("true"));
    }
    let bare = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
    json!({ "Op": source(format!("git://{bare}"), attrs), "constraints": {} })
}
