//! A world of toys: a "root filesystem" is a number, and steps add numbers.
//!
//! `RUN add 3` makes base + mounts + 3; `COPY` adds its sources. What a step takes from a stage is
//! the number's digits below some power of ten, so that a change above is not seen.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use gantry_solver::{
    Cached, CancelToken, Done, Event, Events, Graph, Key, LayerRef, Nearest, Observer, Op, Options,
    Place, Record, Role, Snapshot, SolveError, Solved, SourceAnswer, StepError, Store, StoreError,
    StoreLock, Task, Vertex, VertexId, Work, World,
    key::Value,
    op::{
        ContextOp, CopyItem, CopyOp, HttpOp, MakeDirOp, Mount, Network, RunOp, Security, Selection,
        SourcePath,
    },
    solve,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn layer(number: u64, salt: u64) -> LayerRef {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&salt.to_le_bytes());
    LayerRef(bytes)
}

/// The number that a snapshot stands for: the one of its top layer.
pub(crate) fn number(snapshot: &Snapshot) -> u64 {
    snapshot.layers().last().map_or(0, |layer| {
        u64::from_le_bytes(layer.0[..8].try_into().expect("eight bytes are eight bytes"))
    })
}

/// What happens in the middle of a step.
type During = Arc<dyn Fn(&Task) + Send + Sync>;

/// Carries out toy operations, and counts.
#[derive(Default)]
pub(crate) struct ToyWork {
    /// What each context holds.
    pub(crate) contexts: Mutex<BTreeMap<String, u64>>,
    /// How often each step ran, by its first argument after the number.
    pub(crate) ran: Mutex<Vec<String>>,
    /// What was asked of sources, and of contents.
    pub(crate) read: Mutex<Vec<String>>,
    pub(crate) narrowed: Mutex<u32>,
    /// Called in the middle of a step.
    pub(crate) during: Mutex<HashMap<String, During>>,
    /// How many steps run right now, and how many did at most.
    pub(crate) now: Mutex<(usize, usize)>,
    /// Steps that fail.
    pub(crate) failing: Mutex<HashSet<String>>,
    /// After how many steps the build is canceled.
    pub(crate) cancel_after: Mutex<Option<(usize, CancelToken)>>,
    /// Makes layers of runs differ though their numbers don't, as times would.
    pub(crate) salt: Mutex<u64>,
}

impl ToyWork {
    pub(crate) fn during(&self, step: &str, body: impl Fn(&Task) + Send + Sync + 'static) {
        lock(&self.during).insert(step.to_owned(), Arc::new(body));
    }

    pub(crate) fn take_ran(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.ran))
    }

    fn carry_out(&self, task: &Task) -> Result<Done, StepError> {
        let below = number(&task.base());
        let of = |role| task.input(role).map_or(0, |input| self.value(&input.op, &input.snapshot));
        let sum = match &task.op {
            Op::Run(run) => {
                let mounts: u64 = (0..u32::try_from(run.mounts.len()).expect("few mounts"))
                    .map(|n| of(Role::Mount(n)) % modulus(&task.op, Role::Mount(n)))
                    .sum();
                match run.argv.iter().map(|word| &**word).collect::<Vec<_>>().as_slice() {
                    ["add", n, ..] => below + mounts + n.parse::<u64>().expect("a number"),
                    ["fail", code, ..] => {
                        let code = code.parse().expect("a number");
                        return Err(StepError::new("it fails").with_exit_code(code));
                    }
                    ["panic", ..] => panic!("a toy breaks"),
                    other => panic!("unknown toy {other:?}"),
                }
            }
            Op::Copy(copy) => {
                let inputs: HashSet<_> = copy.items.iter().filter_map(CopyItem::input).collect();
                let of = |n| of(Role::Source(n)) % modulus(&task.op, Role::Source(n));
                below + inputs.into_iter().map(of).sum::<u64>()
            }
            Op::MakeDir(_) => below + 1,
            other => panic!("{other:?} is not executed"),
        };
        let salt = *lock(&self.salt);
        Ok(Done { own: vec![layer(sum, salt)] })
    }

    fn value(&self, op: &Op, snapshot: &Snapshot) -> u64 {
        match op {
            Op::Context(context) => lock(&self.contexts)[&context.name],
            _ => number(snapshot),
        }
    }
}

fn modulus(op: &Op, role: Role) -> u64 {
    let selection = gantry_solver::key::preimage::selection(op, role).unwrap_or_default();
    let digits = selection.paths.first().and_then(|path| path.pattern.parse::<u32>().ok());
    digits.map_or(u64::MAX, |digits| 10_u64.pow(digits))
}

pub(crate) fn name(op: &Op) -> String {
    match op {
        Op::Run(run) => run.argv.join(" "),
        Op::Copy(copy) => format!("copy {}", copy.dest),
        Op::MakeDir(dir) => format!("mkdir {}", dir.path),
        Op::Context(context) => format!("context {}", context.name),
        Op::Http(http) => format!("http {}", http.url),
        other => other.kind().to_owned(),
    }
}

impl Work for ToyWork {
    fn source(&self, op: &Op, _: &Events, _: &CancelToken) -> Result<SourceAnswer, StepError> {
        lock(&self.read).push(name(op));
        let during = lock(&self.during).get(&name(op)).cloned();
        let (key, own) = match op {
            Op::Context(context) => (context.name.clone(), false),
            Op::Http(http) => (http.url.clone(), true),
            other => panic!("{other:?} is no source"),
        };
        if let Some(during) = during {
            let cancel = CancelToken::new();
            during(&Task {
                vertex: VertexId::internal(0),
                op: op.clone(),
                inputs: vec![],
                events: Events::new(Arc::new(gantry_solver::event::Deaf), VertexId::internal(0)),
                cancel,
            });
        }
        let contexts = lock(&self.contexts);
        let Some(number) = contexts.get(&key) else {
            return Err(StepError::new(format!("`{key}` is not there")));
        };
        let own = if own { vec![layer(*number, 0)] } else { vec![] };
        Ok(SourceAnswer { digest: *blake3::hash(&number.to_le_bytes()).as_bytes(), own })
    }

    fn describe(&self, op: &Op) -> Option<Value> {
        let Op::Context(context) = op else { return None };
        let number = lock(&self.contexts)[&context.name].to_string();
        Some(Value::tree([("file", number.as_str().into())]))
    }

    fn content(&self, snapshot: &Snapshot, selection: &Selection) -> Result<[u8; 32], StepError> {
        *lock(&self.narrowed) += 1;
        let path = selection.paths.first().map(|path| path.pattern.as_str()).unwrap_or_default();
        let modulus = path.parse::<u32>().map_or(u64::MAX, |digits| 10_u64.pow(digits));
        Ok(*blake3::hash(&(number(snapshot) % modulus).to_le_bytes()).as_bytes())
    }

    fn execute(&self, task: Task) -> Result<Done, StepError> {
        let name = name(&task.op);
        {
            let mut now = lock(&self.now);
            now.0 += 1;
            now.1 = now.1.max(now.0);
        }
        let during = lock(&self.during).get(&name).cloned();
        if let Some(during) = during {
            during(&task);
        }
        lock(&self.now).0 -= 1;
        if task.cancel.is_canceled() {
            return Err(StepError::canceled());
        }
        if lock(&self.failing).contains(&name) {
            return Err(StepError::new("it fails"));
        }
        if let Some((left, token)) = &mut *lock(&self.cancel_after) {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => token.cancel(),
            }
        }
        lock(&self.ran).push(name);
        self.carry_out(&task)
    }
}

/// Remembers in memory.
#[derive(Default)]
pub(crate) struct ToyStore {
    pub(crate) records: Mutex<HashMap<Key, Cached>>,
    pub(crate) places: Mutex<HashMap<Place, Nearest>>,
    locks: Arc<Mutex<HashSet<Key>>>,
    /// Every key that was looked up, and how often the store was asked.
    pub(crate) looked_up: Mutex<Vec<Key>>,
    pub(crate) questions: Mutex<usize>,
    pub(crate) broken: Mutex<bool>,
    /// Called before something is recorded; says whether that goes well.
    pub(crate) recording: Mutex<Option<Recording>>,
}

type Recording = Arc<dyn Fn(&Record) -> bool + Send + Sync>;

impl ToyStore {
    /// Has this called before something is recorded; it says whether that goes well.
    pub(crate) fn while_recording(&self, body: impl Fn(&Record) -> bool + Send + Sync + 'static) {
        *lock(&self.recording) = Some(Arc::new(body));
    }

    pub(crate) fn forget(&self, key: Key) {
        lock(&self.records).remove(&key);
    }

    pub(crate) fn take_questions(&self) -> (usize, usize) {
        let keys = std::mem::take(&mut *lock(&self.looked_up)).len();
        (std::mem::take(&mut *lock(&self.questions)), keys)
    }
}

struct ToyLock(Arc<Mutex<HashSet<Key>>>, Key);

impl Drop for ToyLock {
    fn drop(&mut self) {
        lock(&self.0).remove(&self.1);
    }
}

impl Store for ToyStore {
    fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<Cached>>, StoreError> {
        if *lock(&self.broken) {
            return Err(StoreError { what: "look up a step", source: "it is broken".into_arc() });
        }
        *lock(&self.questions) += 1;
        lock(&self.looked_up).extend(keys);
        let records = lock(&self.records);
        Ok(keys.iter().map(|key| records.get(key).cloned()).collect())
    }

    fn record(&self, record: Record) -> Result<(), StoreError> {
        let recording = lock(&self.recording).clone();
        if recording.is_some_and(|recording| !recording(&record)) {
            return Err(StoreError { what: "record a step", source: "it is full".into_arc() });
        }
        for key in &record.keys {
            lock(&self.records).insert(*key, record.cached.clone());
        }
        let (preimage, took) = (record.preimage.0.into(), record.cached.took);
        let nearest = Nearest { preimage, took, gone: None };
        lock(&self.places).insert(record.place, nearest);
        Ok(())
    }

    fn also(&self, recipe_key: Key, found: &Cached, _place: &Place) -> Result<(), StoreError> {
        lock(&self.records).insert(recipe_key, found.clone());
        Ok(())
    }

    fn nearest(&self, place: &Place) -> Result<Option<Nearest>, StoreError> {
        Ok(lock(&self.places).get(place).cloned())
    }

    fn try_lock(&self, key: &Key) -> Result<Option<Box<dyn StoreLock>>, StoreError> {
        let new = lock(&self.locks).insert(*key);
        Ok(new.then(|| Box::new(ToyLock(self.locks.clone(), *key)) as _))
    }
}

trait IntoArc {
    fn into_arc(self) -> Arc<dyn std::error::Error + Send + Sync>;
}

impl IntoArc for &str {
    fn into_arc(self) -> Arc<dyn std::error::Error + Send + Sync> {
        Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(self))
    }
}

/// Writes down every event.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<Event>>);

impl Ears {
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Observer for Ears {
    fn event(&self, event: Event) {
        lock(&self.0).push(event);
    }
}

/// Waits until `count` threads have come here; fails after a while.
#[derive(Default)]
pub(crate) struct Meeting(Mutex<usize>, Condvar);

impl Meeting {
    #[must_use]
    pub(crate) fn wait(&self, count: usize) -> bool {
        let mut here = lock(&self.0);
        *here += 1;
        self.1.notify_all();
        while *here < count {
            let (guard, result) = self
                .1
                .wait_timeout(here, Duration::from_secs(5))
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            here = guard;
            if result.timed_out() {
                return false;
            }
        }
        true
    }
}

/// All of it together.
#[derive(Clone, Default)]
pub(crate) struct Toys {
    pub(crate) work: Arc<ToyWork>,
    pub(crate) store: Arc<ToyStore>,
    pub(crate) ears: Arc<Ears>,
}

impl Toys {
    pub(crate) fn context(self, name: &str, number: u64) -> Self {
        lock(&self.work.contexts).insert(name.to_owned(), number);
        self
    }

    /// The same store, another process.
    pub(crate) fn another(&self) -> Toys {
        let contexts = lock(&self.work.contexts).clone();
        let work = ToyWork { contexts: Mutex::new(contexts), ..ToyWork::default() };
        Toys { work: Arc::new(work), store: self.store.clone(), ears: Arc::default() }
    }

    pub(crate) fn world(&self) -> World {
        World { store: self.store.clone(), work: self.work.clone(), observer: self.ears.clone() }
    }

    pub(crate) fn solve(&self, graph: Graph, target: VertexId) -> Result<Solved, SolveError> {
        self.solve_with(graph, &[target], &Options { jobs: 2, ..Options::default() })
    }

    pub(crate) fn solve_with(
        &self,
        graph: Graph,
        targets: &[VertexId],
        options: &Options,
    ) -> Result<Solved, SolveError> {
        self.solve_until(graph, targets, options, &CancelToken::new())
    }

    pub(crate) fn solve_until(
        &self,
        graph: Graph,
        targets: &[VertexId],
        options: &Options,
        cancel: &CancelToken,
    ) -> Result<Solved, SolveError> {
        runtime().block_on(solve(Arc::new(graph), targets, self.world(), options, cancel))
    }
}

/// A runtime without clock or I/O, as the solver promises to need neither.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made")
}

/// Builds graphs in few words.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    stage: String,
}

impl Builder {
    pub(crate) fn stage(&mut self, name: &str) -> &mut Self {
        name.clone_into(&mut self.stage);
        self
    }

    fn add(&mut self, op: Op, inputs: &[(Role, VertexId)]) -> VertexId {
        let title = name(&op);
        let position = u32::try_from(self.graph.len()).expect("few vertices");
        let (stage, text) = (self.stage.as_str().into(), title.as_str().into());
        let place = Place { stage, position, text };
        self.graph.add(Vertex { op, title, place, span: None }, inputs)
    }

    pub(crate) fn context(&mut self, name: &str) -> VertexId {
        let selection = Selection::of("");
        self.add(Op::Context(ContextOp { name: name.into(), selection }), &[])
    }

    pub(crate) fn http(&mut self, url: &str) -> VertexId {
        self.add(Op::Http(HttpOp { url: url.into(), name: "f".into(), checksum: None }), &[])
    }

    pub(crate) fn run(&mut self, args: &str, base: Option<VertexId>) -> VertexId {
        self.run_with(args, base, &[])
    }

    /// Mounts the lowest digits of other vertices.
    pub(crate) fn run_with(
        &mut self,
        args: &str,
        base: Option<VertexId>,
        mounts: &[(VertexId, u32)],
    ) -> VertexId {
        let mut inputs: Vec<_> = base.map(|base| (Role::Base, base)).into_iter().collect();
        let mut op = run_op(args);
        for (n, (vertex, digits)) in (0..).zip(mounts) {
            inputs.push((Role::Mount(n), *vertex));
            let (target, source) = (format!("/{n}"), digits.to_string());
            op.mounts.push(Mount::Bind { target, input: n, source, read_only: true });
        }
        self.add(Op::Run(Box::new(op)), &inputs)
    }

    /// Copies the lowest digits of other vertices.
    pub(crate) fn copy(
        &mut self,
        dest: &str,
        base: VertexId,
        sources: &[(VertexId, u32)],
        link: bool,
    ) -> VertexId {
        let mut inputs = vec![(Role::Base, base)];
        let mut items = Vec::new();
        for (n, (vertex, digits)) in (0..).zip(sources) {
            inputs.push((Role::Source(n), *vertex));
            let path = SourcePath { base: None, pattern: digits.to_string(), literal: true };
            items.push(CopyItem::Tree { input: n, path, unpack: false });
        }
        let dest = dest.to_owned();
        let op = CopyOp { items, dest, chown: None, chmod: None, exclude: vec![], link };
        self.add(Op::Copy(Box::new(op)), &inputs)
    }

    pub(crate) fn mkdir(&mut self, path: &str, base: VertexId) -> VertexId {
        let op = MakeDirOp { path: path.into(), mode: 0o755, user: None };
        self.add(Op::MakeDir(op), &[(Role::Base, base)])
    }

    pub(crate) fn take(&mut self) -> Graph {
        std::mem::take(&mut self.graph)
    }
}

pub(crate) fn run_op(args: &str) -> RunOp {
    RunOp {
        argv: args.split(' ').map(Into::into).collect(),
        env: Arc::from([]),
        proxy: Arc::from([]),
        cwd: "/".into(),
        user: None,
        mounts: vec![],
        network: Network::Default,
        security: Security::Sandbox,
        script: None,
        extra_hosts: vec![],
        ulimits: vec![],
        shm_size: None,
        hostname: None,
        limits: gantry_solver::op::Limits::default(),
        platform: "linux/amd64".into(),
    }
}
