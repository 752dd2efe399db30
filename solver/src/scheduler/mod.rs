//! The scheduler: what is asked, what runs, and when.
//!
//! `state` says how far one vertex is, and moves it by a pure match. `owner` holds all states, on
//! one task; it is told what happened by a closed list of `messages`, hands out work in
//! `dispatch`, and lets go in `endings`. `facts` are keys and inputs, `order` says which of several
//! ready steps comes first, `jobs` and `run` are what runs on blocking threads,
//! and `explain` says why it has to.
//!
//! What a build asks and does, in this order:
//!
//! 1. Every source that a target can need is read (contexts) or fetched (HTTP, git), because its
//!    digest is part of every key above it.
//! 2. The *recipe key* of each target is looked up, together with those of the chain of its
//!    bases. A hit needs no input but its base: stages that it copied from are not asked about.
//! 3. Where the recipe key misses, the inputs are solved; then the *content key* is looked up.
//! 4. Where that misses too, the step runs, under the lock of its key, and is recorded under
//!    both.

mod dispatch;
mod endings;
mod explain;
mod facts;
mod jobs;
mod messages;
mod order;
mod owner;
mod plan;
mod run;
mod state;

pub use plan::{Fate, Planned, plan};

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    cancel::CancelToken,
    event::Observer,
    graph::{Graph, VertexId},
    key::Key,
    store::{LayerRef, Snapshot, Store},
    work::{StepError, Work},
};

/// How to solve.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many steps run at once; at least 1.
    pub jobs: usize,
    /// For which steps the store must not be asked.
    pub no_cache: NoCache,
    /// Whether to give up with [`SolveError::WouldRun`] instead of running anything.
    ///
    /// An unprivileged process answers a fully cached build this way without a user namespace.
    /// Nothing was executed then, but events were told: hold them back until it is over.
    pub probe_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { jobs: 1, no_cache: NoCache::Never, probe_only: false }
    }
}

/// For which steps the store must not be asked. They are recorded all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NoCache {
    /// For none.
    #[default]
    Never,
    /// For all.
    All,
    /// For those of these stages (names ignore case). What is built on them, or copies from
    /// them, is decided by what comes out.
    Stages(Vec<String>),
}

/// The results of a build.
#[derive(Debug, Clone)]
pub struct Solved {
    outputs: HashMap<VertexId, Output>,
    recipe_keys: HashMap<VertexId, Key>,
    ran: Vec<VertexId>,
}

impl Solved {
    /// Returns the root filesystem of a vertex. There for all targets and what they build upon.
    #[must_use]
    pub fn snapshot(&self, vertex: VertexId) -> Option<&Snapshot> {
        self.outputs.get(&vertex).map(|output| &output.snapshot)
    }

    /// Returns the layers that a vertex itself made.
    #[must_use]
    pub fn own(&self, vertex: VertexId) -> Option<&[LayerRef]> {
        self.outputs.get(&vertex).map(|output| output.own.as_slice())
    }

    /// Returns the content key of a vertex.
    #[must_use]
    pub fn key(&self, vertex: VertexId) -> Option<Key> {
        self.outputs.get(&vertex).map(|output| output.content_key)
    }

    /// Returns the recipe key of a vertex that a target can need, also of one that nobody asked for.
    #[must_use]
    pub fn recipe_key(&self, vertex: VertexId) -> Option<Key> {
        self.recipe_keys.get(&vertex).copied()
    }

    /// Returns which steps were executed, in the order in which they ended.
    #[must_use]
    pub fn ran(&self) -> &[VertexId] {
        &self.ran
    }
}

/// What came out of a vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) own: Vec<LayerRef>,
    pub(crate) snapshot: Snapshot,
    pub(crate) content_key: Key,
}

/// A step that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which.
    pub vertex: VertexId,
    /// Its title.
    pub title: String,
    /// Why.
    pub error: StepError,
}

/// A build has no result.
#[derive(Debug, Clone)]
pub enum SolveError {
    /// Steps failed: the first one, and whatever else failed before all had come to rest.
    Failed(Vec<Failure>),
    /// The build was canceled from outside.
    Canceled,
    /// These steps would have to run, and [`Options::probe_only`] forbids it.
    WouldRun(Vec<VertexId>),
}

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SolveError::Failed(failures) => match failures.as_slice() {
                [] => f.write_str("The build failed"),
                [first, rest @ ..] => {
                    write!(f, "`{}` failed", first.title)?;
                    if rest.is_empty() { Ok(()) } else { write!(f, ", and {} more", rest.len()) }
                }
            },
            SolveError::Canceled => f.write_str("The build was canceled"),
            SolveError::WouldRun(steps) => write!(f, "{} steps would have to run", steps.len()),
        }
    }
}

impl std::error::Error for SolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SolveError::Failed(failures) => failures.first().map(|f| &f.error as _),
            SolveError::Canceled | SolveError::WouldRun(_) => None,
        }
    }
}

/// The world that a build is solved in.
#[derive(Clone)]
pub struct World {
    /// Where results are looked up and recorded.
    pub store: Arc<dyn Store>,
    /// Who carries operations out.
    pub work: Arc<dyn Work>,
    /// Who hears about it.
    pub observer: Arc<dyn Observer>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// Brings about the results of `targets`, running only what the store does not have.
///
/// Must be called within a tokio runtime whose blocking pool has at least `2 * jobs + 2` threads;
/// it needs neither tokio's clock nor its I/O.
/// Returns when nothing of the build runs any more, also on failure and when canceled.
///
/// # Errors
/// [`SolveError`]; the first failure stops what no other target needs.
pub async fn solve(
    graph: Arc<Graph>,
    targets: &[VertexId],
    world: World,
    options: &Options,
    cancel: &CancelToken,
) -> Result<Solved, SolveError> {
    owner::Owner::new(graph, targets, world, options, cancel).run().await
}
