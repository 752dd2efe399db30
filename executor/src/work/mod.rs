//! Work: the operations of a build, carried out; one file an operation.
//!
//! ```text
//! image_source   layers of an image; nothing to do before somebody needs their files
//! context        files of a directory, selected; index: what is known of them
//! http, git      files from elsewhere
//! agent          SSH agents, for git and RUN
//! run/           RUN
//! copy/          COPY, ADD
//! make_dir       WORKDIR
//!
//! select, picked, files   which files a source path stands for, and their digest
//! stack, merge            layers as one tree: asked without a mount, or written out
//! owner, root_dir         names of a root filesystem's users; its root directory
//! mounting                what can be mounted here
//! fault                   what can go wrong
//! ```

mod agent;
mod context;
mod copy;
mod fault;
mod files;
mod git;
mod http;
mod index;
mod make_dir;
mod merge;
mod mounting;
mod owner;
mod picked;
mod root_dir;
mod run;
mod select;
mod squash;
mod stack;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use gantry_cache::remote::RemoteError;
use gantry_cache::{Layer, LayerId, Lease, LogId, Store, StoreError, WorkDir};
use gantry_image::layer::{Ids, UnpackOptions};
use gantry_sandbox::{Host, IdMap, Lower, MountedIndex, Networks, Overlay};
use gantry_solver::key::Value;
use gantry_solver::op::{ContextOp, Selection};
use gantry_solver::{
    CancelToken, Done, Events, Graph, Op, Snapshot, SourceAnswer, StepError, Task, VertexId, Work,
};
use gantry_tree::{Dialect, Manifest, Root, TreePath};

pub(crate) use self::agent::Agents;
pub(crate) use self::context::{Ignore, LocalContext};
pub(crate) use self::copy::is_tar_header;
pub(crate) use self::fault::{MAKE_SPACE, is_bug, is_out_of_memory, missing_source};
pub(crate) use self::files::kind_of;
pub(crate) use self::http::without_password;
pub(crate) use self::index::Index;
pub use self::mounting::indexes;
pub(crate) use self::squash::squash;
pub(crate) use self::stack::{Stack, layer_id, layer_ref, open};

use self::fault::Fault;
use crate::history::micros;
use crate::registry::Lazy;
use crate::remote::Imports;
use crate::request::{DefaultNetwork, Entitlements, OnFail, Secret, Snapshotter};

/// How many indexes stay mounted at most: each takes a descriptor.
const MOST_MOUNTED: usize = 128;

/// Carries out the operations of one build.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) store: Store,
    pub(crate) host: Arc<Host>,
    pub(crate) contexts: BTreeMap<String, LocalContext>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) agents: Agents,
    pub(crate) allow: Entitlements,
    pub(crate) network: DefaultNetwork,
    pub(crate) snapshotter: Snapshotter,
    /// What of the first step that fails is kept.
    pub(crate) on_fail: Mutex<Option<OnFail>>,
    /// How layers are unpacked here.
    pub(crate) unpack: UnpackOptions,
    /// Caches elsewhere.
    pub(crate) imports: Imports,
    /// Fetches layers that were not needed before; absent without registries.
    pub(crate) lazy: Option<Lazy>,
    shared: Shared,
}

/// What is found out once, and by whoever needs it first.
#[derive(Debug, Default)]
struct Shared {
    mounting: OnceLock<Mounting>,
    indexes: OnceLock<bool>,
    networks: OnceLock<Networks>,
    graph: OnceLock<Arc<Graph>>,
    warned: Mutex<HashSet<&'static str>>,
    logs: Mutex<HashMap<VertexId, LogId>>,
    /// How long contents of stages were digested, in microseconds.
    digesting: AtomicU64,
    diffs: OnceLock<crate::diffs::Diffs>,
    lease: OnceLock<Lease>,
    /// How layers are mounted that steps were run on.
    lowers: Mutex<HashMap<LayerId, Lower>>,
    /// A layer of nothing but mount points.
    mount_points: OnceLock<WorkDir>,
    /// Layers of which something is in the store, and stays there as long as the build lives.
    here: Mutex<HashSet<LayerId>>,
    /// What was asked of contexts that they do not have.
    lacking: Mutex<HashSet<ContextOp>>,
    /// What sources turned out to be, by address: commits and digests.
    facts: Mutex<BTreeMap<String, String>>,
}

/// How root filesystems are put together here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounting {
    /// By overlay.
    Overlay {
        /// Its marks are `user.overlay.*`.
        userxattr: bool,
    },
    /// By copying all layers.
    Copying,
}

/// Where something came from that was fetched: what is known of its time.
#[derive(Debug)]
pub(crate) struct Origin(When);

#[derive(Debug)]
enum When {
    Commit(i64),
    /// Its time may have to be looked for in it.
    Download {
        known: http::Known,
        name: String,
    },
}

/// What an [`Executor`] is made from.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) host: Arc<Host>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) agents: Agents,
    pub(crate) allow: Entitlements,
    pub(crate) network: DefaultNetwork,
    pub(crate) snapshotter: Snapshotter,
    pub(crate) on_fail: Option<OnFail>,
}

impl Executor {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, host, secrets, agents, allow, network, snapshotter, on_fail } = parts;
        let on_fail = Mutex::new(on_fail);
        let unpack = unpack_options(&host);
        let (contexts, shared) = (BTreeMap::new(), Shared::default());
        let imports = Imports::default();
        Self {
            store,
            host,
            contexts,
            secrets,
            agents,
            allow,
            network,
            snapshotter,
            on_fail,
            unpack,
            imports,
            lazy: None,
            shared,
        }
    }

    /// Says which graph is solved, so that earlier runs of a step can be found.
    pub(crate) fn set_graph(&self, graph: Arc<Graph>) {
        let _ = self.shared.graph.set(graph);
    }

    /// Has diff IDs of new layers computed while later steps run.
    pub(crate) fn set_diffs(&self, diffs: crate::diffs::Diffs) {
        let _ = self.shared.diffs.set(diffs);
    }

    /// Waits for the diff IDs that are being computed.
    pub(crate) fn wait_for_diffs(&self) {
        if let Some(diffs) = self.shared.diffs.get() {
            diffs.wait();
        }
    }

    /// Returns the socket of a forwarded SSH agent.
    fn agent(&self, id: &str) -> Result<Option<std::path::PathBuf>, Fault> {
        self.agents.socket(&self.store, id)
    }

    fn context(&self, name: &str) -> Result<&LocalContext, Fault> {
        let missing = || {
            Fault::refused_with(
                format!("There is no build context `{name}`"),
                format!("Give it with `--build-context {name}=DIR`"),
            )
        };
        self.contexts.get(name).ok_or_else(missing)
    }

    fn lacking(&self) -> MutexGuard<'_, HashSet<ContextOp>> {
        self.shared.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What sources turned out to be.
    pub(crate) fn facts(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.shared.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether something was asked of a context that it does not have.
    pub(crate) fn lacks(&self, op: &ContextOp) -> bool {
        self.lacking().contains(op)
    }

    /// How marks are written into trees here.
    fn dialect(&self) -> Dialect {
        self.unpack.dialect
    }

    /// Whether files can't be given to anybody else.
    fn single_id(&self) -> bool {
        self.unpack.ids == Ids::Single
    }

    /// How root filesystems are put together, found out by trying the first time.
    fn mounting(&self) -> Result<Mounting, Fault> {
        Ok(*self.shared.mounting.get_or_init(|| match self.snapshotter {
            Snapshotter::Copying => Mounting::Copying,
            Snapshotter::Auto | Snapshotter::Trees => {
                match mounting::overlay(&self.store, &self.host) {
                    Overlay::Available { userxattr } => Mounting::Overlay { userxattr },
                    Overlay::Unavailable { .. } => Mounting::Copying,
                }
            }
        }))
    }

    /// Whether layers can be used without being unpacked, found out by trying the first time.
    fn indexes(&self) -> Result<bool, Fault> {
        let overlay = self.mounting()? == Mounting::Overlay { userxattr: false };
        let wanted = self.snapshotter == Snapshotter::Auto && overlay;
        let indexes = &self.shared.indexes;
        Ok(wanted && *indexes.get_or_init(|| mounting::indexes(&self.store, &self.host)))
    }

    fn networks(&self) -> &Networks {
        self.shared
            .networks
            .get_or_init(|| Networks::new(&self.host, self.store.root().join("networks")))
    }

    /// Returns how a layer is mounted, which this build keeps from being pruned.
    ///
    /// An index is mounted once a build: what one step has read of its files is in memory for the
    /// next.
    fn lower(&self, id: &LayerId) -> Result<Lower, Fault> {
        let lowers = || self.shared.lowers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lower) = lowers().get(id) {
            return Ok(lower.clone());
        }
        let mut lower = stack::lower(self, id)?;
        let mounted = lowers().values().filter(|lower| matches!(lower, Lower::Mounted(_))).count();
        if let (Lower::Index { tar, index }, true) = (&lower, mounted < MOST_MOUNTED) {
            lower = Lower::Mounted(Arc::new(MountedIndex::new(tar.clone(), index.clone())?));
        }
        // Of two, one is dropped again.
        Ok(lowers().entry(*id).or_insert(lower).clone())
    }

    /// Returns a layer that holds the places of what is mounted into every step, and nothing else.
    ///
    /// Below all others it hides nothing, and a step need not make these places in its own layer
    /// and take them away again.
    fn mount_points(&self) -> Result<std::path::PathBuf, Fault> {
        if let Some(made) = self.shared.mount_points.get() {
            return Ok(made.upper());
        }
        let work = self.store.bare_work_dir()?;
        let root = Root::open(work.upper())?;
        for dir in ["dev", "etc", "proc", "sys"] {
            root.mkdir(&TreePath::new(dir).unwrap_or_default(), 0o755)?;
        }
        for file in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
            root.create_file(&TreePath::new(file).unwrap_or_default(), 0o644)?;
        }
        // Of two, one is dropped again.
        Ok(self.shared.mount_points.get_or_init(|| work).upper())
    }

    /// Warns about something, but not for every step again.
    fn warn_once(&self, events: &Events, about: &'static str, message: String) {
        let mut warned = self.shared.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(about) {
            events.warn(message);
        }
    }

    /// Keeps a layer as long as the build lives; false if it is gone.
    fn keep(&self, layer: &LayerId) -> Result<bool, Fault> {
        if self.shared.lease.get().is_none() {
            // Of two, one is dropped again.
            let _ = self.shared.lease.set(self.store.lease()?);
        }
        match self.shared.lease.get() {
            Some(lease) => Ok(lease.keep(layer)?),
            None => Ok(false),
        }
    }

    /// Remembers what a step printed, for its record and for the history.
    fn keep_log(&self, vertex: VertexId, log: LogId) {
        let mut logs = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.insert(vertex, log);
    }

    /// Returns what a step printed that ran in this build.
    pub(crate) fn log_of(&self, vertex: VertexId) -> Option<LogId> {
        self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner).get(&vertex).copied()
    }

    /// Returns what all steps printed that ran in this build, also those that failed.
    pub(crate) fn logs(&self) -> Vec<(VertexId, LogId)> {
        let logs = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().map(|(vertex, log)| (*vertex, *log)).collect()
    }

    /// Returns how long contents of stages were digested, in microseconds.
    pub(crate) fn digesting(&self) -> u64 {
        self.shared.digesting.load(Ordering::Relaxed)
    }

    /// Puts layers into the store that are known from a cache elsewhere only; with `lazy` those that
    /// a registry has stay there for now.
    pub(crate) fn know(&self, snapshot: &Snapshot, lazy: bool) -> Result<(), RemoteError> {
        self.imports.settle(&snapshot.layers(), &self.store, lazy && self.lazy.is_some())
    }

    /// Fetches layers whose bytes are in registries only.
    pub(crate) fn bring(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let mut absent = Vec::new();
        for id in snapshot.layers().iter().map(layer_id) {
            if self.here().contains(&id) {
                continue;
            }
            match self.store.layers().get(&id)? {
                Some(layer) if layer.is_remote_only() => absent.push(layer),
                Some(_) => drop(self.here().insert(id)),
                None => {}
            }
        }
        match &self.lazy {
            Some(lazy) if !absent.is_empty() => lazy.bring(&absent, &self.store, &self.unpack),
            // Where there is no registry, whoever reads such a layer is told so.
            _ => Ok(()),
        }
    }

    /// Layers of which something is known to be in the store.
    fn here(&self) -> MutexGuard<'_, HashSet<LayerId>> {
        self.shared.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches layers that are elsewhere, in caches or registries.
    fn fetch(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        self.know(snapshot, false)?;
        Ok(self.bring(snapshot)?)
    }

    /// Digests what a selection takes from a snapshot.
    fn content_of(&self, snapshot: &Snapshot, selection: &Selection) -> Result<[u8; 32], Fault> {
        self.fetch(snapshot)?;
        let stack = Stack::open(&self.store, snapshot)?;
        let view = stack.view();
        let chosen = select::select(&view, &selection.paths)?;
        let picked = picked::pick(&view, &chosen, &picked::excludes(&selection.exclude)?);
        Ok(picked::digest(&view, &picked, selection.any_mode))
    }

    /// Finds the layer that this step made last time, whose files may be linked from.
    ///
    /// Only one of the same text, so that its files lie where the new ones will, and never one of
    /// the chain that is built upon: two paths of one root filesystem must not share an inode.
    fn donor(
        &self,
        vertex: VertexId,
        base: &Snapshot,
    ) -> Result<Option<(Root, Arc<Manifest>)>, Fault> {
        for layer in self.earlier(vertex)? {
            let chained = base.layers().iter().any(|other| layer_id(other) == layer.id);
            if let Some(tree) = layer.tree().filter(|_| !chained) {
                return Ok(Some((Root::open(tree)?, layer.manifest()?)));
            }
        }
        Ok(None)
    }

    /// Finds the tar that this step made last time, whose bytes may be taken over.
    fn earlier_tar(&self, vertex: VertexId) -> Result<Option<(File, Arc<Manifest>)>, Fault> {
        for layer in self.earlier(vertex)? {
            if let Some(tar) = layer.tar().filter(|_| !layer.imported) {
                // Kept first: it may be pruned the moment after.
                if self.keep(&layer.id)? {
                    let tar = copy::open_tar(tar).map_err(Fault::io("open a layer's tar"))?;
                    return Ok(Some((tar, layer.manifest()?)));
                }
            }
        }
        Ok(None)
    }

    /// Lists the layers that earlier runs of a step made, those of the same text only.
    fn earlier(&self, vertex: VertexId) -> Result<Vec<Layer>, Fault> {
        let Some(graph) = self.shared.graph.get() else { return Ok(Vec::new()) };
        let place = &graph.vertex(vertex).place;
        let mut layers = Vec::new();
        for record in self.store.records().nearest(&place.stage, place.position, &place.text)? {
            if let ([id], true) = (record.layers.as_slice(), *record.text == *place.text) {
                layers.extend(self.store.layers().get(id)?);
            }
        }
        Ok(layers)
    }

    /// Fetches a source that lies elsewhere, with all that is known of its time.
    pub(crate) fn fetch_source(
        &self,
        op: &Op,
        events: &Events,
        cancel: &CancelToken,
    ) -> Result<(SourceAnswer, Origin), StepError> {
        match op {
            Op::Http(op) => {
                let known = http::fetch(self, op, events, cancel)?;
                Ok((known.answer(), Origin(When::Download { known, name: op.name.clone() })))
            }
            Op::Git(op) => {
                let (answer, time) = git::fetch(self, op, cancel)?;
                Ok((answer, Origin(When::Commit(time))))
            }
            _ => Err(Fault::bug("Only what lies elsewhere can be fetched").into()),
        }
    }

    /// Returns the time of what was fetched, in seconds since 1970, if it has one.
    pub(crate) fn time_of(&self, origin: &Origin) -> Result<Option<i64>, StepError> {
        match &origin.0 {
            When::Commit(time) => Ok(Some(*time)),
            When::Download { known, name } => Ok(http::time(self, known, name)?),
        }
    }

    fn run(&self, task: &Task) -> Result<Done, Fault> {
        for input in &task.inputs {
            self.fetch(&input.snapshot)?;
        }
        if self.single_id() {
            let message = "Only one user ID is available: all files belong to root, and steps can \
                           run as nobody else; `gantry info` says what is missing";
            self.warn_once(&task.events, "ids", message.to_owned());
        }
        let done = match &task.op {
            Op::Run(op) => run::execute(self, task, op),
            Op::Copy(op) => copy::execute(self, task, op),
            Op::MakeDir(op) => make_dir::execute(self, task, op),
            Op::Scratch | Op::Image(_) => Ok(Done { own: Vec::new() }),
            Op::Context(_) | Op::Http(_) | Op::Git(_) => {
                Err(Fault::bug("A source is read, not executed"))
            }
        }?;
        if let Some(diffs) = self.shared.diffs.get() {
            diffs.start(done.own.iter().map(layer_id));
        }
        Ok(done)
    }
}

impl Work for Executor {
    fn source(
        &self,
        op: &Op,
        events: &Events,
        cancel: &CancelToken,
    ) -> Result<SourceAnswer, StepError> {
        match op {
            Op::Context(op) => {
                let digest = self.context(&op.name)?.digest(&op.selection);
                if let Err(Fault::Missing { .. }) = &digest {
                    self.lacking().insert(op.clone());
                }
                Ok(SourceAnswer { digest: digest?, own: Vec::new() })
            }
            Op::Http(_) | Op::Git(_) => Ok(self.fetch_source(op, events, cancel)?.0),
            _ => Err(Fault::bug("Only sources can be read").into()),
        }
    }

    fn describe(&self, op: &Op) -> Option<Value> {
        let Op::Context(op) = op else { return None };
        self.context(&op.name).ok()?.describe(&op.selection).ok()
    }

    fn describe_content(&self, snapshot: &Snapshot, selection: &Selection) -> Option<Value> {
        let stack = Stack::open(&self.store, snapshot).ok()?;
        let view = stack.view();
        let chosen = select::select(&view, &selection.paths).ok()?;
        let exclude = picked::excludes(&selection.exclude).ok()?;
        let picked = picked::pick(&view, &chosen, &exclude);
        Some(picked::describe(&view, &picked, selection.any_mode))
    }

    fn content(&self, snapshot: &Snapshot, selection: &Selection) -> Result<[u8; 32], StepError> {
        let began = Instant::now();
        let content = self.content_of(snapshot, selection);
        self.shared.digesting.fetch_add(micros(began.elapsed()), Ordering::Relaxed);
        Ok(content?)
    }

    fn execute(&self, task: Task) -> Result<Done, StepError> {
        let done = self.run(&task);
        if let Err(Fault::Spawn(_)) = &done {
            mounting::forget(&self.store);
        }
        Ok(done?)
    }
}

/// What can be made on this host when a layer is unpacked.
pub(crate) fn unpack_options(host: &Host) -> UnpackOptions {
    if host.is_root() && !host.in_user_namespace() {
        return UnpackOptions::root();
    }
    UnpackOptions::rootless(match host.id_map() {
        IdMap::Single => Ids::Single,
        IdMap::Full | IdMap::SubIds { .. } => Ids::Full,
    })
}
