//! What goes into a provenance: what was asked for, and what the build took in.

use std::collections::BTreeMap;
use std::time::SystemTime;

use gantry_image::{DateTime, Digest, Platform, Reference};
use gantry_solver::op::{GitOp, ImageOp, Mount, Network};
use gantry_solver::{Graph, Op, VertexId};

use super::purl;
use super::slsa::{ConfigSource, Local, Material, Parameters, Wanted};
use crate::request::{BuildRequest, ContextSource, DefaultNetwork, DockerfileSource, NamedContext};
use crate::work::{Executor, without_password};

/// What was asked for, in the words in which BuildKit is asked; taken down before it is used up.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(super) args: BTreeMap<String, String>,
    /// The address of a context that lies elsewhere.
    pub(super) context: Option<String>,
    /// Directories of this host.
    pub(super) locals: Vec<String>,
    pub(super) started: Option<SystemTime>,
}

impl Asked {
    pub(crate) fn of(request: &BuildRequest) -> Self {
        let mut asked = Self { started: Some(SystemTime::now()), ..Self::default() };
        let mut set = |key: String, value: String| asked.args.insert(key, value);
        for (name, value) in &request.build_args {
            set(format!("build-arg:{name}"), value.clone());
        }
        if let Some(epoch) = request.source_date_epoch {
            set("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch.to_string());
        }
        for (name, value) in &request.labels {
            set(format!("label:{name}"), value.clone());
        }
        if let Some(target) = &request.target {
            set("target".to_owned(), target.clone());
        }
        let hosts: Vec<String> =
            request.extra_hosts.iter().map(|(name, ip)| format!("{name}={ip}")).collect();
        let ulimits: Vec<String> = request
            .ulimits
            .iter()
            .map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard))
            .collect();
        for (key, values) in [("add-hosts", hosts), ("ulimit", ulimits)] {
            if !values.is_empty() {
                set(key.to_owned(), values.join(","));
            }
        }
        if let Some(size) = request.shm_size {
            set("shm-size".to_owned(), size.to_string());
        }
        match request.network {
            DefaultNetwork::Private => None,
            DefaultNetwork::None => set("force-network-mode".to_owned(), "none".to_owned()),
            DefaultNetwork::Host => set("force-network-mode".to_owned(), "host".to_owned()),
        };
        let mut locals = Vec::new();
        for (name, context) in &request.named_contexts {
            let value = match context {
                NamedContext::Directory(_) => {
                    locals.push(name.clone());
                    format!("local:{name}")
                }
                NamedContext::Image(image) => format!("docker-image://{image}"),
                NamedContext::OciLayout(layout) => format!("oci-layout://{layout}"),
                NamedContext::Git(git) => git_address(git),
                NamedContext::Http(http) => without_password(&http.url),
            };
            set(format!("context:{name}"), value);
        }
        let local = match &request.context {
            ContextSource::Directory(_) | ContextSource::Tar(_) => {
                locals.push("context".to_owned());
                true
            }
            ContextSource::Empty => true,
            ContextSource::Git(git) => {
                asked.context = Some(git_address(git));
                false
            }
            ContextSource::Http(url) => {
                asked.context = Some(without_password(url));
                false
            }
        };
        if local && !matches!(request.dockerfile, DockerfileSource::Url(_)) {
            locals.push("dockerfile".to_owned());
        }
        locals.sort();
        asked.locals = locals;
        asked
    }
}

/// An address of a repository, with the reference that was asked for, without a password.
pub(super) fn git_address(op: &GitOp) -> String {
    let remote = without_password(&op.remote);
    match &op.reference {
        Some(reference) => format!("{remote}#{reference}"),
        None => remote,
    }
}

/// The digest by which an image is known where it came from: that of its index, if it has one.
pub(crate) fn image_digest(executor: &Executor, op: &ImageOp) -> Option<Digest> {
    let reference: Option<Reference> = op.reference.parse().ok();
    if let Some(digest) = reference.as_ref().and_then(Reference::digest) {
        return Some(digest);
    }
    let image = executor.store.images().get(&op.config.parse().ok()?).ok()??;
    let repository = reference.map(|reference| reference.name());
    let mut known = image.names.iter().filter(|name| Some(name.name()) == repository);
    let of_index = known.find_map(|name| name.digest().filter(|d| Some(*d) != image.manifest));
    of_index.or(image.manifest)
}

/// What a build took in.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) materials: Vec<Material>,
    pub(super) source: ConfigSource,
    pub(super) parameters: Parameters,
    pub(super) materials_complete: bool,
    pub(super) network: bool,
}

/// Walks through all that a target needs.
pub(super) fn capture(
    executor: &Executor,
    graph: &Graph,
    target: VertexId,
    generator: Option<VertexId>,
    asked: &Asked,
) -> Captured {
    let mut images: Vec<(String, Material)> = Vec::new();
    let mut repositories: Vec<Material> = Vec::new();
    let mut files: Vec<Material> = Vec::new();
    let mut captured = Captured { materials_complete: asked.locals.is_empty(), ..<_>::default() };
    let mut parameters = Parameters {
        frontend: "dockerfile.v0".to_owned(),
        args: asked.args.clone(),
        ..Parameters::default()
    };
    for vertex in graph.reachable(&[target]).into_iter().chain(generator) {
        match &graph.vertex(vertex).op {
            Op::Image(op) => {
                let (reference, material) = of_image(executor, op);
                captured.materials_complete &= !material.digest.is_empty();
                if images.iter().all(|(_, known)| known.uri != material.uri) {
                    images.push((reference, material));
                }
            }
            Op::Git(op) => add(&mut repositories, of_git(executor, op)),
            Op::Http(op) => add(&mut files, of_http(executor, &op.url)),
            Op::Run(op) => {
                captured.network |= op.network != Network::None;
                for mount in &op.mounts {
                    wanted(mount, &mut parameters);
                }
            }
            Op::Scratch | Op::Context(_) | Op::Copy(_) | Op::MakeDir(_) => {}
        }
    }
    if let Some(context) = &asked.context {
        captured.source.uri.clone_from(context);
        if let Some(commit) = executor.source_fact(context) {
            let digest = commit_digest(&commit);
            captured.source.digest.clone_from(&digest);
            add(&mut repositories, Material { uri: context.clone(), digest });
        } else {
            let material = of_http(executor, context);
            captured.source.digest.clone_from(&material.digest);
            add(&mut files, material);
        }
    }
    images.sort_by(|(a, _), (b, _)| a.cmp(b));
    repositories.sort_by(|a, b| a.uri.cmp(&b.uri));
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    captured.materials = images.into_iter().map(|(_, image)| image).collect();
    captured.materials.extend(repositories);
    captured.materials.extend(files);
    parameters.secrets.sort();
    parameters.ssh.sort();
    parameters.locals = asked.locals.iter().map(|name| Local { name: name.clone() }).collect();
    captured.parameters = parameters;
    captured
}

fn add(list: &mut Vec<Material>, material: Material) {
    if list.iter().all(|known| known.uri != material.uri) {
        list.push(material);
    }
}

fn of_image(executor: &Executor, op: &ImageOp) -> (String, Material) {
    let platform: Option<Platform> = op.platform.parse().ok();
    let mut digest = BTreeMap::new();
    if let Some(known) = image_digest(executor, op) {
        digest.insert("sha256".to_owned(), known.hex());
    }
    let uri = match op.reference.strip_prefix("oci-layout://") {
        // A place on this host's disk says nothing elsewhere, its name does.
        Some(place) => {
            let name = place.rsplit('/').next().unwrap_or(place).to_lowercase();
            match name.parse() {
                Ok(reference) => purl::of_image("oci", &reference, platform.as_ref()),
                Err(_) => "pkg:oci/layout".to_owned(),
            }
        }
        None => match op.reference.parse() {
            Ok(reference) => purl::of_image("docker", &reference, platform.as_ref()),
            // It is known by its ID alone.
            Err(_) => format!("pkg:docker/{}", op.config.replace(':', "%3A")),
        },
    };
    (op.reference.clone(), Material { uri, digest })
}

fn of_git(executor: &Executor, op: &GitOp) -> Material {
    let uri = git_address(op);
    let commit = executor.source_fact(&uri);
    let digest = commit.map(|commit| commit_digest(&commit)).unwrap_or_default();
    Material { uri, digest }
}

fn commit_digest(commit: &str) -> BTreeMap<String, String> {
    let algorithm = if commit.len() == 64 { "sha256" } else { "sha1" };
    BTreeMap::from([(algorithm.to_owned(), commit.to_owned())])
}

fn of_http(executor: &Executor, url: &str) -> Material {
    let uri = without_password(url);
    let mut digest = BTreeMap::new();
    if let Some(found) = executor.source_fact(&format!("http {uri}"))
        && let Some((algorithm, hex)) = found.split_once(':')
    {
        digest.insert(algorithm.to_owned(), hex.to_owned());
    }
    Material { uri, digest }
}

/// Notes a secret or an agent. One that a step can't do without is not optional for the build.
fn wanted(mount: &Mount, parameters: &mut Parameters) {
    let (list, id, required) = match mount {
        Mount::Secret { id, required, .. } => (&mut parameters.secrets, id, *required),
        Mount::Ssh { id, required, .. } => (&mut parameters.ssh, id, *required),
        Mount::Bind { .. } | Mount::Cache { .. } | Mount::Tmpfs { .. } => return,
    };
    let id = if id.is_empty() { "default" } else { id };
    match list.iter_mut().find(|known| known.id == id) {
        Some(known) => known.optional &= !required,
        None => list.push(Wanted { id: id.to_owned(), optional: !required }),
    }
}

/// A point in time as a provenance has it.
pub(super) fn time(at: SystemTime) -> DateTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    DateTime::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

impl Executor {
    /// Remembers what a source turned out to be: the commit behind a repository's address, or the
    /// digest behind `http <address>`.
    pub(crate) fn note_source(&self, address: String, fact: &str) {
        self.facts().insert(address, fact.to_owned());
    }

    pub(crate) fn note_git(&self, op: &GitOp, commit: &str) {
        self.note_source(git_address(op), commit);
    }

    pub(crate) fn note_http(&self, url: &str, digest: &str) {
        self.note_source(format!("http {}", without_password(url)), digest);
    }

    fn source_fact(&self, address: &str) -> Option<String> {
        self.facts().get(address).cloned()
    }
}
