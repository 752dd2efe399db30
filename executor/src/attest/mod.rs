//! Attestations: what is said about the result of a build, in BuildKit's forms.
//!
//! ```text
//! request    what is asked for
//! capture    what was asked of the build, and what it took in
//! llb        its steps, as BuildKit tells them
//! slsa       both of that as a provenance
//! sbom       an image that looks through the result, and what it found
//! statement  somebody speaks of something: in-toto
//! purl       names of images as addresses of packages
//! attached   statements as a manifest beside an image's
//! ```
//!
//! Nothing of it is there unless asked for: an image is one manifest then. With SOURCE_DATE_EPOCH,
//! or where `reproducible` is promised, the same input gives the same bytes: no time of the clock,
//! no random name.

mod attached;
mod capture;
mod llb;
mod purl;
mod request;
mod sbom;
mod slsa;
mod statement;

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_image::{DateTime, Platform};
use gantry_parser::SourceFile;
use gantry_solver::{Graph, Solved, VertexId};
use serde_json::Value;

use self::capture::Captured;
use self::llb::Steps;
use self::slsa::Facts;
use crate::export::Assembled;
use crate::work::Executor;

pub(crate) use self::attached::Attached;
pub(crate) use self::capture::{Asked, image_digest};
pub use self::request::{Attestations, Provenance, ProvenanceMode, Sbom, SlsaVersion};
pub(crate) use self::sbom::{Found, Scan, Scanned, add_scan, read as read_sboms};
pub(crate) use self::statement::{Predicate, Subject};

/// Says what there is to be said about each target of a build.
pub(crate) struct Attestor<'a> {
    pub(crate) asked: &'a Attestations,
    pub(crate) request: &'a Asked,
    pub(crate) executor: &'a Executor,
    pub(crate) graph: &'a Graph,
    pub(crate) solved: &'a Solved,
    pub(crate) dockerfile: &'a SourceFile,
    pub(crate) epoch: Option<i64>,
    pub(crate) targets: Vec<Attested>,
    /// When the build had its result.
    pub(crate) finished: SystemTime,
}

/// A target, and what was found in it.
#[derive(Debug)]
pub(crate) struct Attested {
    pub(crate) vertex: VertexId,
    /// The image that looked through it.
    pub(crate) generator: Option<VertexId>,
    pub(crate) sboms: Vec<Found>,
    /// Whether its layers are those that its steps made.
    pub(crate) squashed: bool,
}

impl Attestor<'_> {
    /// All that is said of one target. Its image, where there is one, says which layer a file of it
    /// is in, and what the layers of steps are.
    pub(crate) fn predicates(&self, number: usize, image: Option<&Assembled>) -> Vec<Predicate> {
        let mut predicates = Vec::new();
        let Some(target) = self.targets.get(number) else { return predicates };
        for found in &target.sboms {
            predicates.push(found.predicate(self.executor, image));
        }
        if let Some(asked) = &self.asked.provenance {
            let facts = self.facts(target, image, asked, asked.mode);
            predicates.push(Predicate {
                path: "provenance.json".to_owned(),
                kind: asked.version.predicate_type().to_owned(),
                subjects: Vec::new(),
                body: facts.body(asked.version, true),
                inline_only: asked.inline_only,
            });
        }
        predicates
    }

    /// The provenance of a target for whoever asked for the build's metadata.
    pub(crate) fn told(&self, number: usize, image: Option<&Assembled>) -> Option<Value> {
        let (mode, target) = (self.asked.told?, self.targets.get(number)?);
        let asked = self.asked.provenance.clone().unwrap_or_default();
        // In brief, there is no metadata and no step; all that was recorded otherwise.
        let facts = match mode {
            ProvenanceMode::Min => {
                let mut facts = self.facts(target, image, &asked, asked.mode);
                facts.build_config = None;
                facts
            }
            ProvenanceMode::Max => self.facts(target, image, &asked, asked.mode),
        };
        serde_json::to_value(facts.body(asked.version, mode == ProvenanceMode::Max)).ok()
    }

    fn facts(
        &self,
        target: &Attested,
        image: Option<&Assembled>,
        asked: &Provenance,
        mode: ProvenanceMode,
    ) -> Facts {
        let (vertex, generator) = (target.vertex, target.generator);
        let Captured { materials, mut source, parameters, materials_complete, network } =
            capture::capture(self.executor, self.graph, vertex, generator, self.request);
        source.path = file_name(self.dockerfile.name()).to_owned();
        let fixed = self.epoch.map(|epoch| DateTime::from_unix(epoch, 0));
        let clock = |at: SystemTime| match (&fixed, asked.reproducible) {
            (Some(fixed), _) => Some(fixed.clone()),
            (None, true) => None,
            (None, false) => Some(capture::time(at)),
        };
        let started = clock(self.request.started.unwrap_or(self.finished));
        let mut facts = Facts {
            builder_id: asked.builder_id.clone(),
            materials,
            platform: Platform::host().to_string(),
            invocation: self.invocation(asked.reproducible || self.epoch.is_some()),
            started,
            finished: clock(self.finished),
            parameters_complete: !parameters.frontend.is_empty(),
            parameters,
            materials_complete,
            hermetic: materials_complete && !network,
            reproducible: asked.reproducible,
            ..Facts::default()
        };
        facts.metadata.vcs.clone_from(&self.asked.vcs);
        if mode == ProvenanceMode::Max {
            let steps = Steps::of(self.graph, vertex, self.executor);
            facts.metadata.source = Some(steps.source(self.graph, self.dockerfile, &source.path));
            if let Some(image) = image.filter(|_| !target.squashed) {
                facts.metadata.layers = self.layers(vertex, &steps, image);
            }
            facts.build_config = Some(steps.config);
        }
        facts.source = source;
        facts.reduce(mode);
        facts
    }

    /// The layers of the image, by the step that made the uppermost of them.
    fn layers(
        &self,
        target: VertexId,
        steps: &Steps,
        image: &Assembled,
    ) -> std::collections::BTreeMap<String, Vec<Vec<gantry_image::Descriptor>>> {
        let mut layers = std::collections::BTreeMap::new();
        let all = &image.manifest.layers;
        let mut vertex = Some(target);
        while let Some(at) = vertex {
            let count = self.solved.snapshot(at).map_or(0, |snapshot| snapshot.layers().len());
            if let (Some(number), Some(chain)) = (steps.numbers.get(&at), all.get(..count))
                && count > 0
            {
                layers.insert(format!("step{number}:0"), vec![chain.to_vec()]);
            }
            vertex = self.graph.base(at);
        }
        layers
    }

    /// The name of this build; the same for all its targets, and, where it has to be, for the same
    /// build at another time.
    fn invocation(&self, reproducible: bool) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("gantry invocation 1");
        hasher.update(format!("{:?}", self.request.args).as_bytes());
        for target in &self.targets {
            let key = self.solved.recipe_key(target.vertex);
            hasher.update(&key.map(|key| key.0).unwrap_or_default());
        }
        if !reproducible {
            let now = self.finished.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            hasher.update(&now.as_nanos().to_le_bytes());
            hasher.update(&std::process::id().to_le_bytes());
        }
        const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let bytes = *hasher.finalize().as_bytes();
        let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
        bytes[..25].iter().map(letter).collect()
    }
}

/// The name of a Dockerfile without its directory; what came by a pipe is called as if it had one.
fn file_name(path: &str) -> &str {
    match path.rsplit('/').next() {
        Some("" | "-") | None => "Dockerfile",
        Some(name) => name,
    }
}

fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}
