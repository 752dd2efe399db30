//! A dry run: what a build would run, and why.

use std::sync::Arc;

use gantry_cache::Store;
use gantry_sandbox::Host;
use gantry_solver::event::Deaf;
use gantry_solver::scheduler::World;
use gantry_solver::{CancelToken, Fate, VertexId, Why};

use super::Build;
use super::events::Held;
use crate::attest::Attestations;
use crate::diffs::Diffs;
use crate::error::{BuildError, ContextError};
use crate::history::{Recorder, requested};
use crate::request::{BuildRequest, ContextSource, NamedContext};

/// What would become of a step.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// Its title, such as `[build 2/5] RUN make`.
    pub title: String,
    /// What it does, in one word.
    pub kind: String,
    /// What would become of it.
    pub fate: Fate,
    /// Why, unless it is cached, or that can't be told.
    pub why: Option<Why>,
}

/// Says what [`build`](super::build) would run, and why. Runs nothing, fetches nothing, and leaves
/// nothing in the store.
///
/// # Errors
/// [`BuildError::Unsupported`] if the context is not on this machine, else as a build.
pub fn plan(
    request: BuildRequest,
    store: &Store,
    host: &Arc<Host>,
) -> Result<Vec<PlannedStep>, BuildError> {
    let remote = |named: &NamedContext| matches!(named, NamedContext::OciLayout(_));
    if !matches!(request.context, ContextSource::Directory(_) | ContextSource::Empty)
        || request.named_contexts.values().any(remote)
    {
        return Err(BuildError::Unsupported {
            what: "A dry run needs a context that is a directory".to_owned(),
            hint: Some("Unpack or check it out first; a dry run fetches nothing".to_owned()),
        });
    }
    let recorder = Recorder::new(requested(&request));
    let held = Arc::new(Held::new(Arc::new(Deaf), recorder, false));
    let cancel = CancelToken::new();
    let mut build = Build::begin(request, store, host, held, &cancel)?;
    build.steps.only_look();
    // A scan would need its generator fetched.
    build.request.attestations = Attestations::default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(BuildError::Runtime)?;
    let (graph, targets) = runtime.block_on(build.lower())?;
    let graph = Arc::new(graph);
    let epoch = targets.first().and_then(|target| target.epoch);
    let vertices: Vec<VertexId> = targets.iter().map(|target| target.vertex).collect();
    build.executor.set_graph(Arc::clone(&graph));
    build.executor.set_diffs(Diffs::new(store.clone(), epoch));
    let world = World {
        store: Arc::clone(&build.steps) as _,
        work: Arc::clone(&build.executor) as _,
        observer: Arc::new(Deaf),
    };
    let planned = gantry_solver::plan(&graph, &vertices, &world, &build.request.no_cache)
        .map_err(ContextError::Plan)?;
    let steps = planned.into_iter().filter_map(|planned| {
        let shown = graph.vertex(planned.vertex);
        let is_step = !shown.op.is_source();
        is_step.then(|| PlannedStep {
            title: shown.title.clone(),
            kind: shown.op.kind().to_owned(),
            fate: planned.fate,
            why: planned.why,
        })
    });
    Ok(steps.collect())
}
