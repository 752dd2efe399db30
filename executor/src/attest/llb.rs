//! The steps of a build in the JSON form of BuildKit's LLB (`solver/pb/ops.proto`), which is how a
//! provenance tells them.
//!
//! What the two have in common is written as BuildKit would write it; digests of LLB's own encoding
//! have no place here, since there is none.

use std::collections::{BTreeMap, HashMap};

use gantry_image::Platform;
use gantry_parser::SourceFile;
use gantry_solver::op::{
    ContextOp, CopyItem, CopyOp, GitOp, HttpOp, ImageOp, MakeDirOp, Mount, Network, RunOp,
    Security, Sharing,
};
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
        // Inputs come first. The empty root filesystem is none of LLB's operations.
        let all = graph.reachable(&[target]);
        let steps = all.iter().filter(|vertex| !matches!(graph.vertex(**vertex).op, Op::Scratch));
        for (number, vertex) in steps.enumerate() {
            numbers.insert(*vertex, number);
            let inputs = Inputs::of(graph, *vertex, &numbers);
            definition.push(BuildStep {
                id: format!("step{number}"),
                op: operation(&graph.vertex(*vertex).op, &inputs, executor),
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
        let followed = json!([path]).to_string();
        let local = json!({
            "Op": { "source": {
                "identifier": "local://dockerfile",
                "attrs": { "local.followpaths": followed, "local.sharedkeyhint": "dockerfile" },
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

/// The inputs of a step, in the order in which operations number them.
struct Inputs {
    list: Vec<(Role, usize)>,
}

impl Inputs {
    fn of(graph: &Graph, vertex: VertexId, numbers: &HashMap<VertexId, usize>) -> Self {
        let inputs = graph.inputs(vertex).into_iter();
        let known = |(role, input)| Some((role, *numbers.get(&input)?));
        Self { list: inputs.filter_map(known).collect() }
    }

    fn references(&self) -> Vec<String> {
        self.list.iter().map(|(_, number)| format!("step{number}:0")).collect()
    }

    /// The place of an input in the list; -1 for nothing, as LLB has it.
    fn place(&self, role: Role) -> i64 {
        let found = self.list.iter().position(|(known, _)| *known == role);
        found.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)
    }
}

fn operation(op: &Op, inputs: &Inputs, executor: &Executor) -> Value {
    match op {
        Op::Scratch => json!({ "Op": {} }),
        Op::Image(op) => image(op, executor),
        Op::Context(op) => local(op),
        Op::Http(op) => http(op),
        Op::Git(op) => git(op),
        Op::Run(op) => run(op, inputs),
        Op::Copy(op) => copy(op, inputs),
        Op::MakeDir(op) => make_dir(op, inputs),
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

fn local(op: &ContextOp) -> Value {
    let mut attrs = Map::new();
    let paths: Vec<&str> = op.selection.paths.iter().map(|path| path.pattern.as_str()).collect();
    if paths.iter().all(|path| !path.is_empty()) {
        attrs.insert("local.followpaths".to_owned(), json!(json!(paths).to_string()));
    }
    if !op.selection.exclude.is_empty() {
        let exclude = json!(op.selection.exclude).to_string();
        attrs.insert("local.excludepatterns".to_owned(), json!(exclude));
    }
    attrs.insert("local.sharedkeyhint".to_owned(), json!(op.name));
    json!({ "Op": source(format!("local://{}", op.name), attrs), "constraints": {} })
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

fn run(op: &RunOp, inputs: &Inputs) -> Value {
    let env: Vec<String> = op.env.iter().map(|var| format!("{}={}", var.name, var.value)).collect();
    let mut meta = json!({ "args": op.argv, "cwd": op.cwd });
    if !env.is_empty() {
        meta["env"] = json!(env);
    }
    if let Some(user) = &op.user {
        meta["user"] = json!(user);
    }
    if !op.extra_hosts.is_empty() {
        let host = |(name, address): &(String, String)| json!({ "Host": name, "IP": address });
        meta["extraHosts"] = op.extra_hosts.iter().map(host).collect();
    }
    if let Some(hostname) = &op.hostname {
        meta["hostname"] = json!(hostname);
    }
    let mut root = json!({ "dest": "/" });
    add_input(&mut root, inputs.place(Role::Base));
    let mut mounts = vec![root];
    let mut variables = Vec::new();
    for asked in &op.mounts {
        mount(asked, inputs, &mut mounts, &mut variables);
    }
    let mut exec = json!({ "meta": meta, "mounts": mounts });
    match op.network {
        Network::Default => {}
        Network::Host => exec["network"] = json!(1),
        Network::None => exec["network"] = json!(2),
    }
    if op.security == Security::Insecure {
        exec["security"] = json!(1);
    }
    if !variables.is_empty() {
        exec["secretenv"] = json!(variables);
    }
    json!({ "Op": { "exec": exec }, "platform": platform(&op.platform), "constraints": {} })
}

/// Go leaves out zeros.
fn add_input(mount: &mut Value, place: i64) {
    if place != 0 {
        mount["input"] = json!(place);
    }
}

fn mount(asked: &Mount, inputs: &Inputs, mounts: &mut Vec<Value>, variables: &mut Vec<Value>) {
    match asked {
        Mount::Bind { target, input, source, read_only } => {
            let mut value = json!({ "dest": target, "output": -1 });
            add_input(&mut value, inputs.place(Role::Mount(*input)));
            if !source.is_empty() {
                value["selector"] = json!(format!("/{source}"));
            }
            if *read_only {
                value["readonly"] = json!(true);
            }
            mounts.push(value);
        }
        Mount::Cache { target, id, sharing, read_only, seed, .. } => {
            let place = seed.as_ref().map_or(-1, |(input, _)| inputs.place(Role::Mount(*input)));
            let mut cache = json!({ "ID": id });
            match sharing {
                Sharing::Shared => {}
                Sharing::Private => cache["sharing"] = json!(1),
                Sharing::Locked => cache["sharing"] = json!(2),
            }
            let mut value =
                json!({ "dest": target, "output": -1, "mountType": 3, "cacheOpt": cache });
            add_input(&mut value, place);
            if *read_only {
                value["readonly"] = json!(true);
            }
            mounts.push(value);
        }
        Mount::Tmpfs { target, size } => {
            let size = size.map_or_else(|| json!({}), |size| json!({ "size": size }));
            mounts.push(json!({
                "input": -1, "dest": target, "output": -1, "mountType": 4, "TmpfsOpt": size,
            }));
        }
        Mount::Secret { id, target, env, required, mode, uid, gid } => {
            if let Some(target) = target {
                let mut secret = json!({ "ID": id, "mode": mode });
                add_owner(&mut secret, *uid, *gid, *required);
                mounts.push(json!({
                    "input": -1, "dest": target, "output": -1, "mountType": 1,
                    "secretOpt": secret,
                }));
            }
            if let Some(env) = env {
                let mut variable = json!({ "ID": id, "name": env });
                add_owner(&mut variable, 0, 0, *required);
                variables.push(variable);
            }
        }
        Mount::Ssh { id, target, required, mode, uid, gid } => {
            let mut agent = json!({ "ID": id, "mode": mode });
            add_owner(&mut agent, *uid, *gid, *required);
            mounts.push(json!({
                "input": -1, "dest": target, "output": -1, "mountType": 2, "SSHOpt": agent,
            }));
        }
    }
}

fn add_owner(value: &mut Value, uid: u32, gid: u32, required: bool) {
    for (name, id) in [("uid", uid), ("gid", gid)] {
        if id != 0 {
            value[name] = json!(id);
        }
    }
    if !required {
        value["optional"] = json!(true);
    }
}

/// Actions of one operation build upon each other: the first has the base as its input, and the
/// next one what the one before it made, which is numbered after the inputs.
fn file(actions: Vec<(i64, Value)>, inputs: &Inputs) -> Value {
    let last = actions.len().saturating_sub(1);
    let made = i64::try_from(inputs.list.len()).unwrap_or(i64::MAX);
    let action = |(number, (secondary, action)): (usize, (i64, Value))| {
        let before = i64::try_from(number).unwrap_or(i64::MAX) - 1;
        json!({
            "input": if number == 0 { inputs.place(Role::Base) } else { made + before },
            "secondaryInput": secondary,
            "output": if number == last { 0 } else { -1 },
            "Action": action,
        })
    };
    let actions: Vec<Value> = actions.into_iter().enumerate().map(action).collect();
    json!({ "Op": { "file": { "actions": actions } }, "constraints": {} })
}

fn copy(op: &CopyOp, inputs: &Inputs) -> Value {
    let mut actions = Vec::new();
    for item in &op.items {
        let secondary = item.input().map_or(-1, |input| inputs.place(Role::Source(input)));
        if let CopyItem::Inline(inline) = item {
            let mode = op.chmod.as_deref().and_then(octal).unwrap_or(0o644);
            let made = json!({
                "path": format!("{}{}", op.dest, if op.dest.ends_with('/') { &inline.name } else { "" }),
                "mode": mode,
                "data": super::base64(inline.content.as_bytes()),
                "timestamp": -1,
            });
            actions.push((secondary, json!({ "mkfile": made })));
            continue;
        }
        let (src, unpack, wildcard) = match item {
            CopyItem::Tree { path, unpack, .. } => {
                (format!("/{}", path.pattern), *unpack, !path.literal)
            }
            CopyItem::Download { name, unpack, .. } => (format!("/{name}"), *unpack, false),
            CopyItem::Git { .. } | CopyItem::Inline(_) => ("/".to_owned(), false, false),
        };
        let mut copy = json!({
            "src": src,
            "dest": op.dest,
            "mode": op.chmod.as_deref().and_then(octal).map_or(-1, i64::from),
            "followSymlink": true,
            "dirCopyContents": true,
            "createDestPath": true,
            "timestamp": -1,
        });
        for (name, is) in [
            ("attemptUnpackDockerCompatibility", unpack),
            ("allowWildcard", wildcard),
            ("allowEmptyWildcard", wildcard),
        ] {
            if is {
                copy[name] = json!(true);
            }
        }
        if let Some(owner) = &op.chown {
            copy["owner"] = owner_of(owner);
        }
        if let Some(mode) = op.chmod.as_ref().filter(|mode| octal(mode).is_none()) {
            copy["modeStr"] = json!(mode);
        }
        if !op.exclude.is_empty() {
            copy["exclude_patterns"] = json!(op.exclude);
        }
        actions.push((secondary, json!({ "copy": copy })));
    }
    file(actions, inputs)
}

fn octal(mode: &str) -> Option<u32> {
    u32::from_str_radix(mode, 8).ok()
}

fn owner_of(text: &str) -> Value {
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let one = |name: &str| match name.parse::<u32>() {
        Ok(id) => json!({ "User": { "byID": id } }),
        Err(_) => json!({ "User": { "byName": { "name": name } } }),
    };
    let mut owner = json!({ "user": one(user) });
    if let Some(group) = group {
        owner["group"] = one(group);
    }
    owner
}

fn make_dir(op: &MakeDirOp, inputs: &Inputs) -> Value {
    let mut dir = json!({ "path": op.path, "mode": op.mode, "makeParents": true, "timestamp": -1 });
    if let Some(user) = &op.user {
        dir["owner"] = owner_of(user);
    }
    file(vec![(-1, json!({ "mkdir": dir }))], inputs)
}
