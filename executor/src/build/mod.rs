//! The way of a build: contexts → Dockerfile → graph → solved → outputs.

mod attestations;
mod base;
mod blame;
mod caches;
mod checks;
mod events;
mod frontend;
mod images;
mod instructions;
mod naming;
mod options;
mod outputs;
mod plan;
mod platforms;
mod squash;

pub(crate) use options::{EPOCH, lower_options};
pub use plan::{PlannedStep, plan};

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_cache::{Store, WorkDir};
use gantry_image::{ImageConfig, Platform};
use gantry_parser::ast::{Dockerfile, Instruction};
use gantry_parser::{Diagnostic, SourceFile};
use gantry_sandbox::{Host, Retired};
use gantry_solver::lower::{HistoryItem, LowerErrors, LowerOptions, Scans, lower};
use gantry_solver::op::ContextOp;
use gantry_solver::scheduler::{Failure, World};
use gantry_solver::{
    CancelToken, Event, Graph, Observer, Options, SolveError, Solved, VertexId, solve,
};
use tokio::runtime::Runtime;

use self::blame::Blame;
use self::checks::{Checks, Seen};
use self::events::Held;
use self::platforms::Together;
use crate::attest::{Asked, Scan};
use crate::diffs::Diffs;
use crate::error::{BuildError, DockerfileError, StepFailures};
use crate::export;
use crate::history::{Recorder, requested};
use crate::inputs;
use crate::outcome::{BuildOutcome, Stats};
use crate::registry::{Fetcher, Lazy};
use crate::remote::{Imports, Places};
use crate::request::{BuildRequest, ContextSource, Output};
use crate::resolve::{Remote, Resolver, Times};
use crate::store::StepStore;
use crate::work::{Agents, Executor, LocalContext, Origin, Parts};

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
    if request.pull && request.registry.is_none() {
        return Err(BuildError::Unsupported {
            what: "There is no registry to pull from".to_owned(),
            hint: None,
        });
    }
    let recorder = Recorder::new(requested(&request));
    export::check(&request.outputs, request.platforms.len() > 1)?;
    let unprivileged = host.needs_user_namespace();
    if unprivileged && matches!(request.context, ContextSource::Tar(_)) {
        // A stream can't be read twice: it has to be read where steps can run.
        return Err(BuildError::NeedsUserNamespace);
    }
    let store = &match &request.registry {
        Some(registry) => {
            let fetcher = Fetcher::new(Arc::clone(registry), cancel.clone());
            store.with_fetcher(Arc::new(fetcher))
        }
        None => store.clone(),
    };
    // Without privileges this is a first look, of which nobody hears if it leads to nothing.
    let recorder = if unprivileged { recorder } else { recorder.telling(store) };
    let held = Arc::new(Held::new(observer, recorder, unprivileged));
    // Waited for when all else is done.
    let mut retired = Vec::new();
    let begun = Build::begin(request, store, host, Arc::clone(&held), cancel);
    let outcome = begun.and_then(|build| build.run(&mut retired));
    if matches!(outcome, Err(BuildError::NeedsUserNamespace)) {
        return outcome;
    }
    held.release();
    if outcome.as_ref().is_ok_and(|outcome| !outcome.stats.ran.is_empty()) {
        // Blobs and indexes came, too. What can't be pruned now can be later.
        let _ = store.collect_garbage();
    }
    // A history with a gap is better than a build without a result.
    match (held.recorder.write(store, &outcome), outcome) {
        (Ok((id, record)), Ok(outcome)) => Ok(BuildOutcome { past: Some((id, record)), ..outcome }),
        (Err(error), Ok(outcome)) => {
            let message = format!("This build is missing in the history: {error}");
            held.event(Event::Warning { vertex: None, message });
            Ok(outcome)
        }
        (_, failed) => failed,
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
    /// What was asked for, for whoever wants it attested.
    asked: Asked,
    unprivileged: bool,
    /// What is known of the time of a context that lies elsewhere.
    origin: Option<Arc<Origin>>,
    _spool: Option<WorkDir>,
}

/// A Dockerfile that was lowered, solved, and is ready to be written out.
struct Ready {
    graph: Arc<Graph>,
    /// One for each platform.
    targets: Vec<Target>,
    solved: Solved,
}

/// What of a lowered Dockerfile makes up the image of one platform.
struct Target {
    vertex: VertexId,
    config: ImageConfig,
    history: Vec<HistoryItem>,
    platform: Platform,
    epoch: Option<i64>,
    /// What wants to be looked through besides the image.
    scans: Scans,
    /// The steps that look through it.
    scan: Option<Scan>,
}

impl<'a> Build<'a> {
    fn begin(
        mut request: BuildRequest,
        store: &'a Store,
        host: &Arc<Host>,
        observer: Arc<Held>,
        cancel: &'a CancelToken,
    ) -> Result<Self, BuildError> {
        let asked = Asked::of(&request);
        let mut executor = Executor::new(Parts {
            store: store.clone(),
            host: Arc::clone(host),
            secrets: std::mem::take(&mut request.secrets),
            agents: Agents::new(std::mem::take(&mut request.ssh)),
            allow: request.allow,
            network: request.network,
            snapshotter: request.snapshotter,
            on_fail: request.on_fail.take(),
        });
        let project = observer.recorder.project();
        let told: Arc<dyn Observer> = Arc::clone(&observer) as _;
        executor.lazy = request
            .registry
            .clone()
            .map(|registry| Lazy::new(registry, Arc::clone(&told), cancel.clone()));
        let inputs = inputs::open(&executor, &mut request, &told, cancel)?;
        events::tell_loaded(&observer, &inputs.loaded);
        executor.contexts = inputs.contexts;
        if !request.cache_from.is_empty() {
            let registry = request.registry.clone();
            let places = Places { store, registry, cancel };
            executor.imports = Imports::open(&request.cache_from, &places, &*observer);
        }
        let executor = Arc::new(executor);
        let steps = Arc::new(StepStore::new(Arc::clone(&executor), project));
        Ok(Self {
            request,
            store,
            observer,
            cancel,
            dockerfile: inputs.dockerfile,
            executor,
            steps,
            warnings: Vec::new(),
            asked,
            unprivileged: host.needs_user_namespace(),
            origin: inputs.origin.map(Arc::new),
            _spool: inputs._spool,
        })
    }

    /// Carries it out. `retired` gets what may be taken down meanwhile.
    fn run(mut self, retired: &mut Vec<Retired>) -> Result<BuildOutcome, BuildError> {
        let started = Instant::now();
        let ready = self.solve();
        retired.extend(self.executor.retire_networks());
        self.tell_logs(ready.as_ref().ok());
        self.executor.contexts.values().for_each(LocalContext::save_index);
        let ready = self.at_hand(ready?)?;
        self.steps.touch()?;
        let solving = started.elapsed();
        let outcome = self.export(&ready)?;
        let titles = |vertex: &VertexId| ready.graph.vertex(*vertex).title.clone();
        let is_step = |vertex: &VertexId| !ready.graph.vertex(*vertex).op.is_source();
        Ok(BuildOutcome {
            stats: Stats {
                steps: ready.graph.reachable(&ready.all()).iter().filter(|v| is_step(v)).count(),
                ran: ready.solved.ran().iter().filter(|v| is_step(v)).map(titles).collect(),
                solving,
                exporting: started.elapsed().saturating_sub(solving),
            },
            ..outcome
        })
    }

    /// What finds images for this build.
    fn resolver(&mut self) -> Resolver {
        let remote = self.request.registry.clone().map(|registry| {
            let observer: Arc<dyn Observer> = Arc::clone(&self.observer) as _;
            Arc::new(Remote::new(registry, Arc::clone(&self.executor), observer, self.cancel))
        });
        Resolver {
            store: self.store.clone(),
            steps: Arc::clone(&self.steps),
            remote,
            pull: self.request.pull,
            times: Times {
                executor: Arc::clone(&self.executor),
                observer: Arc::clone(&self.observer) as _,
                cancel: self.cancel.clone(),
                context: self.origin.clone(),
                may_fetch: !self.steps.only_looks(),
            },
        }
    }

    /// Parses, lowers and solves.
    fn solve(&mut self) -> Result<Ready, BuildError> {
        let runtime = self.runtime()?;
        let (graph, targets) = runtime.block_on(self.lower())?;
        let platforms: Vec<String> =
            targets.iter().map(|target| target.platform.to_string()).collect();
        let platforms = platforms.join(",");
        self.observer.recorder.describe(|record| record.platform = Some(platforms));
        let graph = Arc::new(graph);
        self.executor.set_graph(Arc::clone(&graph));
        let epoch = targets.first().and_then(|target| target.epoch);
        self.executor.set_diffs(Diffs::new(self.store.clone(), epoch));
        let solved = match self.carry_out(&runtime, &graph, &targets) {
            Err(_) if self.forsakes_caches() => self.carry_out(&runtime, &graph, &targets)?,
            solved => solved?,
        };
        Ok(Ready { graph, targets, solved })
    }

    /// How many steps run at once.
    fn jobs(&self) -> usize {
        match self.request.jobs {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            jobs => jobs,
        }
    }

    /// Steps block, and so have threads of their own; what decides about them needs one.
    fn runtime(&self) -> Result<Runtime, BuildError> {
        tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(2 * self.jobs() + 2)
            .thread_keep_alive(Duration::from_secs(1))
            .build()
            .map_err(BuildError::Runtime)
    }

    /// Makes sure that layers which are to be written out are here: what a cache elsewhere has lost
    /// is made anew.
    fn at_hand(&self, ready: Ready) -> Result<Ready, BuildError> {
        let outputs = &self.request.outputs;
        let whole = !outputs.iter().all(Output::may_be_thin);
        if outputs.is_empty() || self.fetch(&ready, whole).is_ok() || !self.forsakes_caches() {
            return Ok(ready);
        }
        let Ready { graph, targets, .. } = ready;
        let solved = self.carry_out(&self.runtime()?, &graph, &targets)?;
        Ok(Ready { graph, targets, solved })
    }

    /// Gives caches elsewhere up, if one of them has lost what it had (C5-07). Says whether it is so.
    fn forsakes_caches(&self) -> bool {
        if self.cancel.is_canceled() {
            return false;
        }
        let Some(why) = self.executor.imports.give_up() else { return false };
        let message = format!("Caches from elsewhere are not used any more: {why}");
        self.observer.event(Event::Warning { vertex: None, message });
        true
    }

    /// Has the steps run that must be.
    fn carry_out(
        &self,
        runtime: &Runtime,
        graph: &Arc<Graph>,
        targets: &[Target],
    ) -> Result<Solved, BuildError> {
        let vertices: Vec<VertexId> = targets.iter().flat_map(Target::all).collect();
        let (observer, executor) = (Arc::clone(&self.observer), Arc::clone(&self.executor));
        let blame = Arc::new(Blame::new(observer, executor, Arc::clone(graph), &vertices));
        let world = World {
            store: Arc::clone(&self.steps) as _,
            work: Arc::clone(&self.executor) as _,
            observer: Arc::clone(&blame) as _,
        };
        let options = Options {
            jobs: self.jobs(),
            no_cache: self.request.no_cache.clone(),
            probe_only: self.unprivileged,
        };
        let solved = solve(Arc::clone(graph), &vertices, world, &options, self.cancel);
        runtime.block_on(solved).map_err(|error| self.failed(&blame, error))
    }

    /// Tells the history what it can't hear: keys and logs.
    fn tell_logs(&self, ready: Option<&Ready>) {
        let recorder = &self.observer.recorder;
        if let Some(ready) = ready {
            for vertex in ready.graph.ids() {
                if let Some(key) = ready.solved.key(vertex)
                    && !ready.graph.vertex(vertex).op.is_source()
                {
                    recorder.know(vertex, Some(key), self.steps.log_of(&key));
                }
            }
        }
        for (vertex, log) in self.executor.logs() {
            let key = ready.and_then(|ready| ready.solved.key(vertex));
            recorder.know(vertex, key, Some(log));
        }
        let digesting = self.executor.digesting();
        recorder.describe(|record| record.digesting_us = digesting);
    }

    /// Lowers the Dockerfile for all platforms into one graph.
    async fn lower(&mut self) -> Result<(Graph, Vec<Target>), BuildError> {
        let mut parsed = gantry_parser::parse(&self.dockerfile);
        let options = lower_options(&mut self.request);
        frontend::check(&self.dockerfile, &parsed.dockerfile, &options.build_args)
            .map_err(|errors| self.wrong(errors))?;
        if parsed.has_errors() {
            return Err(self.wrong(parsed.diagnostics));
        }
        self.warnings.extend(parsed.diagnostics);
        if let Some(image) = self.request.from.take() {
            build_upon(&mut parsed.dockerfile, image);
        }
        let images = self.resolver();
        let executor = Arc::clone(&self.executor);
        let ignore = executor.contexts.get(ContextOp::MAIN).map(LocalContext::rules);
        let platforms = match &self.request.platforms[..] {
            [] => std::slice::from_ref(&options.host),
            platforms => platforms,
        };
        let checks = Checks::new(&options.build_args, ignore, platforms)
            .map_err(|errors| self.wrong(errors))?;
        let dockerfile = &parsed.dockerfile;
        let resolver = Seen::new(&images);
        let mut together = Together::default();
        let mut found = Vec::new();
        let platforms: Vec<Option<Platform>> = match &self.request.platforms[..] {
            [] => vec![None],
            platforms => platforms.iter().cloned().map(Some).collect(),
        };
        for platform in platforms {
            let options = LowerOptions { platform, ..options.clone() };
            match lower(dockerfile, &options, &resolver).await {
                Ok(lowered) => together.add(lowered, &mut found),
                Err(_) if images.needs_user_namespace() => {
                    return Err(BuildError::NeedsUserNamespace);
                }
                Err(_) if self.cancel.is_canceled() => return Err(BuildError::Canceled),
                Err(LowerErrors(mut diagnostics)) => {
                    diagnostics.extend(checks.merge(dockerfile, &resolver, None));
                    return Err(self.wrong(diagnostics));
                }
            }
        }
        self.warnings.extend(checks.merge(dockerfile, &resolver, Some(found)));
        if let Some(error) = checks.violation(dockerfile, &self.warnings) {
            return Err(self.wrong(vec![error]));
        }
        let (mut graph, mut targets) = together.finish();
        if self.observer.follows_file() {
            let named = options.target.as_deref();
            let list = instructions::list(dockerfile, &graph, &targets, named);
            self.observer.event(Event::Instructions { list });
        }
        self.add_scans(&mut graph, &mut targets, &images).await?;
        Ok((graph, targets))
    }

    fn wrong(&mut self, mut diagnostics: Vec<Diagnostic>) -> BuildError {
        diagnostics.append(&mut self.warnings);
        let source = self.dockerfile.clone();
        BuildError::Dockerfile(DockerfileError { source, diagnostics })
    }

    fn failed(&self, blame: &Blame, error: SolveError) -> BuildError {
        match error {
            SolveError::Canceled => BuildError::Canceled,
            SolveError::WouldRun(_) => BuildError::NeedsUserNamespace,
            SolveError::Failed(failures) => BuildError::Steps(StepFailures {
                source: self.dockerfile.clone(),
                warnings: self.warnings.clone(),
                steps: failures
                    .into_iter()
                    .map(|Failure { vertex, title, error }| {
                        blame.failure(vertex, title, error, &self.dockerfile)
                    })
                    .collect(),
            }),
        }
    }
}

/// Puts an image in the place of the one that the first `FROM` names.
fn build_upon(dockerfile: &mut Dockerfile, image: String) {
    let first =
        dockerfile.statements.iter_mut().find_map(|statement| match &mut statement.instruction {
            Instruction::From(from) => Some(from),
            _ => None,
        });
    if let Some(from) = first {
        from.image.text = image;
    }
}
