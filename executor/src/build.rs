//! The way of a build: contexts → Dockerfile → graph → solved → outputs.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_cache::Store;
use gantry_image::{Digest, Platform, Reference};
use gantry_parser::{Diagnostic, SourceFile};
use gantry_sandbox::Host;
use gantry_solver::lower::{Context, HistoryItem, LowerErrors, LowerOptions, Lowered, lower};
use gantry_solver::op::Network;
use gantry_solver::scheduler::World;
use gantry_solver::{
    CancelToken, Event, Graph, Observer, Op, Options, Snapshot, SolveError, Solved, VertexId, solve,
};

use crate::diffs::Diffs;
use crate::error::{BuildError, DockerfileError, StepFailure, StepFailures};
use crate::export::{self, Assembled, Built, Recipe, find_or_make};
use crate::inputs;
use crate::outcome::{BuildOutcome, BuiltImage, Stats};
use crate::request::{BuildRequest, ContextSource, DefaultNetwork, NamedContext, Output};
use crate::resolve::Resolver;
use crate::store::StepStore;
use crate::work::{Executor, LocalContext, Parts, layer_id};

/// The build argument that pins time.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Builds what `request` asks for, and tells `observer` what happens.
///
/// Blocks until it is over; nothing of the build runs any more then, and nothing is mounted. Several
/// builds may use one store at once, in one process or many: each step runs once.
///
/// # Errors
/// [`BuildError`]. Steps that succeeded before are in the cache; nothing else is left.
pub fn build(
    request: BuildRequest,
    store: &Store,
    host: &Arc<Host>,
    observer: Arc<dyn Observer>,
    cancel: &CancelToken,
) -> Result<BuildOutcome, BuildError> {
    if request.pull {
        return Err(BuildError::Unsupported {
            what: "Pulling images is not supported yet".to_owned(),
            hint: Some("Put the image into the store with `gantry load`".to_owned()),
        });
    }
    export::check(&request.outputs)?;
    let unprivileged = host.needs_user_namespace();
    if unprivileged && matches!(request.context, ContextSource::Tar(_)) {
        // A stream can't be read twice: it has to be read where steps can run.
        return Err(BuildError::NeedsUserNamespace);
    }
    // Without privileges this is a first look, of which nobody hears if it leads to nothing.
    let held = Arc::new(Held { inner: observer, events: Mutex::new(unprivileged.then(Vec::new)) });
    let outcome = Build::begin(request, store, host, Arc::clone(&held), cancel)?.run();
    if !matches!(outcome, Err(BuildError::NeedsUserNamespace)) {
        held.release();
    }
    outcome
}

/// Keeps events back until it is known that this process can build.
struct Held {
    inner: Arc<dyn Observer>,
    events: Mutex<Option<Vec<Event>>>,
}

impl Held {
    fn release(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.take().into_iter().flatten().for_each(|event| self.inner.event(event));
    }
}

impl Observer for Held {
    fn event(&self, event: Event) {
        let mut held = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(events) => events.push(event),
            None => {
                drop(held);
                self.inner.event(event);
            }
        }
    }
}

struct Build<'a> {
    request: BuildRequest,
    store: &'a Store,
    observer: Arc<Held>,
    cancel: &'a CancelToken,
    dockerfile: SourceFile,
    executor: Arc<Executor>,
    steps: Arc<StepStore>,
    warnings: Vec<Diagnostic>,
    unprivileged: bool,
    _spool: Option<gantry_cache::WorkDir>,
}

/// A Dockerfile that was lowered, solved, and is ready to be written out.
struct Ready {
    graph: Arc<Graph>,
    target: VertexId,
    lowered: Lowering,
    solved: Solved,
}

/// What of a lowered Dockerfile makes up the image.
struct Lowering {
    config: gantry_image::ImageConfig,
    history: Vec<HistoryItem>,
    platform: Platform,
    epoch: Option<i64>,
}

impl<'a> Build<'a> {
    fn begin(
        mut request: BuildRequest,
        store: &'a Store,
        host: &Arc<Host>,
        observer: Arc<Held>,
        cancel: &'a CancelToken,
    ) -> Result<Self, BuildError> {
        let inputs = inputs::open(store, &mut request)?;
        let executor = Arc::new(Executor::new(Parts {
            store: store.clone(),
            host: Arc::clone(host),
            contexts: inputs.contexts,
            secrets: std::mem::take(&mut request.secrets),
            allow: request.allow,
            network: request.network,
            snapshotter: request.snapshotter,
        }));
        let steps = Arc::new(StepStore::new(Arc::clone(&executor)));
        Ok(Self {
            request,
            store,
            observer,
            cancel,
            dockerfile: inputs.dockerfile,
            executor,
            steps,
            warnings: Vec::new(),
            unprivileged: host.needs_user_namespace(),
            _spool: inputs._spool,
        })
    }

    fn run(mut self) -> Result<BuildOutcome, BuildError> {
        let started = Instant::now();
        let ready = self.solve();
        self.executor.contexts.values().for_each(LocalContext::save_index);
        let ready = ready?;
        self.steps.touch()?;
        let solving = started.elapsed();
        let outcome = self.export(&ready)?;
        let titles = |vertex: &VertexId| ready.graph.vertex(*vertex).title.clone();
        let is_step = |vertex: &VertexId| !ready.graph.vertex(*vertex).op.is_source();
        Ok(BuildOutcome {
            stats: Stats {
                steps: ready.graph.reachable(&[ready.target]).iter().filter(|v| is_step(v)).count(),
                ran: ready.solved.ran().iter().filter(|v| is_step(v)).map(titles).collect(),
                solving,
                exporting: started.elapsed().saturating_sub(solving),
            },
            ..outcome
        })
    }

    /// Parses, lowers and solves.
    fn solve(&mut self) -> Result<Ready, BuildError> {
        let jobs = match self.request.jobs {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            jobs => jobs,
        };
        // Steps block, and so have threads of their own; what decides about them needs one.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(2 * jobs + 2)
            .thread_keep_alive(Duration::from_secs(1))
            .build()
            .map_err(BuildError::Runtime)?;
        let lowered = runtime.block_on(self.lower())?;
        let epoch = lowered.source_date_epoch;
        let graph = Arc::new(lowered.graph);
        self.executor.set_graph(Arc::clone(&graph));
        self.executor.set_diffs(Diffs::new(self.store.clone(), epoch));
        self.warnings.extend(lowered.warnings);
        let world = World {
            store: Arc::clone(&self.steps) as _,
            work: Arc::clone(&self.executor) as _,
            observer: Arc::clone(&self.observer) as _,
        };
        let options = Options {
            jobs,
            no_cache: self.request.no_cache.clone(),
            probe_only: self.unprivileged,
        };
        let targets = [lowered.target];
        let solved = solve(Arc::clone(&graph), &targets, world, &options, self.cancel);
        let solved = runtime.block_on(solved).map_err(|error| self.failed(&graph, error))?;
        Ok(Ready {
            graph,
            target: lowered.target,
            lowered: Lowering {
                config: lowered.config,
                history: lowered.history,
                platform: lowered.platform,
                epoch,
            },
            solved,
        })
    }

    async fn lower(&mut self) -> Result<Lowered, BuildError> {
        let parsed = gantry_parser::parse(&self.dockerfile);
        if parsed.has_errors() {
            return Err(self.wrong(parsed.diagnostics));
        }
        self.warnings.extend(parsed.diagnostics);
        let resolver = Resolver { store: self.store.clone(), steps: Arc::clone(&self.steps) };
        let options = self.lower_options();
        lower(&parsed.dockerfile, &options, &resolver)
            .await
            .map_err(|LowerErrors(diagnostics)| self.wrong(diagnostics))
    }

    fn lower_options(&mut self) -> LowerOptions {
        let request = &mut self.request;
        let mut build_args = std::mem::take(&mut request.build_args);
        if let Some(epoch) = request.source_date_epoch {
            build_args.entry(EPOCH.to_owned()).or_insert_with(|| epoch.to_string());
        }
        let contexts =
            std::mem::take(&mut request.named_contexts).into_iter().map(|(name, context)| {
                match context {
                    NamedContext::Directory(_) => (name, Context::Local),
                    NamedContext::Image(reference) => (name, Context::Image(reference)),
                    NamedContext::OciLayout(place) => (name, Context::OciLayout(place)),
                }
            });
        LowerOptions {
            target: request.target.clone(),
            build_args,
            labels: std::mem::take(&mut request.labels).into_iter().collect(),
            platform: request.platform.clone(),
            host: Platform::host(),
            multi_platform: false,
            context: Context::Local,
            contexts: contexts.collect::<BTreeMap<_, _>>(),
            network: match request.network {
                DefaultNetwork::Private => Network::Default,
                DefaultNetwork::None => Network::None,
                DefaultNetwork::Host => Network::Host,
            },
            extra_hosts: std::mem::take(&mut request.extra_hosts),
            ulimits: std::mem::take(&mut request.ulimits),
            shm_size: request.shm_size,
            limits: request.limits.clone(),
        }
    }

    fn wrong(&mut self, mut diagnostics: Vec<Diagnostic>) -> BuildError {
        diagnostics.append(&mut self.warnings);
        let source = self.dockerfile.clone();
        BuildError::Dockerfile(DockerfileError { source, diagnostics })
    }

    fn failed(&self, graph: &Graph, error: SolveError) -> BuildError {
        match error {
            SolveError::Canceled => BuildError::Canceled,
            SolveError::WouldRun(_) => BuildError::NeedsUserNamespace,
            SolveError::Failed(failures) => BuildError::Steps(StepFailures {
                source: self.dockerfile.clone(),
                steps: failures
                    .into_iter()
                    .map(|failure| StepFailure {
                        span: graph.vertex(failure.vertex).span,
                        title: failure.title,
                        error: failure.error,
                    })
                    .collect(),
            }),
        }
    }

    /// Makes the image if an output wants one, and writes the outputs.
    fn export(&mut self, ready: &Ready) -> Result<BuildOutcome, BuildError> {
        let outputs = std::mem::take(&mut self.request.outputs);
        let reads = outputs.iter().any(|output| !matches!(output, Output::Store));
        if self.unprivileged && reads {
            // Files of the layers belong to users that only a user namespace knows.
            return Err(BuildError::NeedsUserNamespace);
        }
        let progress = Progress::begin(&self.observer, &outputs);
        let snapshot = ready.solved.snapshot(ready.target).cloned().unwrap_or_default();
        self.executor.wait_for_diffs();
        let image = match outputs.iter().any(export::needs_image) {
            true => Some(self.assemble(ready, &snapshot)?),
            false => None,
        };
        let names = &self.request.tags;
        let stored = outputs.iter().any(|output| matches!(output, Output::Store));
        let built =
            Built { snapshot: &snapshot, image: image.as_ref(), names, clamp: ready.lowered.epoch };
        let mut exported: Vec<PathBuf> = Vec::new();
        for output in outputs {
            if self.cancel.is_canceled() {
                return Err(BuildError::Canceled);
            }
            exported.extend(export::write(&self.executor, output, &built)?);
        }
        // Names come last: they must not point at an image whose build failed after all.
        let tags: Vec<Reference> = if stored { names.clone() } else { Vec::new() };
        if let Some(image) = &image {
            for name in &tags {
                self.store.images().tag(name, &image.id())?;
            }
        }
        progress.done();
        Ok(BuildOutcome {
            image: image.map(|image| BuiltImage {
                id: image.id(),
                manifest: image.manifest.digest(),
                platform: ready.lowered.platform.clone(),
                reused: image.reused,
            }),
            tags,
            exported,
            dockerfile: self.dockerfile.clone(),
            warnings: std::mem::take(&mut self.warnings),
            stats: Stats::default(),
        })
    }

    fn assemble(&self, ready: &Ready, snapshot: &Snapshot) -> Result<Assembled, BuildError> {
        let lowered = &ready.lowered;
        let recipe = Recipe {
            config: &lowered.config,
            history: &lowered.history,
            layers: snapshot.layers().iter().map(layer_id).collect(),
            base: ready.base_image(),
            platform: &lowered.platform,
            epoch: lowered.epoch,
        };
        if self.unprivileged && !recipe.is_ready(self.store)? {
            return Err(BuildError::NeedsUserNamespace);
        }
        Ok(find_or_make(self.store, &recipe)?)
    }
}

impl Ready {
    /// The ID of the image that the target is built upon, if it is one.
    fn base_image(&self) -> Option<Digest> {
        let mut vertex = Some(self.target);
        while let Some(at) = vertex {
            if let Op::Image(op) = &self.graph.vertex(at).op {
                return op.config.parse().ok();
            }
            vertex = self.graph.base(at);
        }
        None
    }
}

/// Tells that outputs are written, as one more vertex that belongs to no graph.
struct Progress<'a> {
    observer: &'a Held,
    started: Instant,
    told: bool,
}

impl<'a> Progress<'a> {
    const VERTEX: u32 = 0;

    fn begin(observer: &'a Held, outputs: &[Output]) -> Self {
        let title = match outputs {
            [] => None,
            [Output::Store] => Some("exporting to image"),
            [Output::Docker { .. }] => Some("exporting to docker image format"),
            [Output::Oci { .. }] => Some("exporting to oci image format"),
            [Output::Local { .. }] => Some("exporting to client directory"),
            [Output::Tar { .. }] => Some("exporting to client tarball"),
            _ => Some("exporting"),
        };
        if let Some(title) = title {
            let vertex = VertexId::internal(Self::VERTEX);
            observer.event(Event::VertexAdded {
                vertex,
                kind: "export".to_owned(),
                title: title.to_owned(),
                inputs: Vec::new(),
            });
            observer.event(Event::Started { vertex });
        }
        Self { observer, started: Instant::now(), told: title.is_none() }
    }

    fn done(mut self) {
        if !std::mem::replace(&mut self.told, true) {
            let vertex = VertexId::internal(Self::VERTEX);
            self.observer.event(Event::Done { vertex, took: self.started.elapsed() });
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if !self.told {
            let vertex = VertexId::internal(Self::VERTEX);
            self.observer.event(Event::Canceled { vertex });
        }
    }
}
