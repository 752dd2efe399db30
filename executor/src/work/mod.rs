//! Work: the operations of a build, carried out; one file an operation.
//!
//! ```text
//! context        files of a directory, selected; index: what is known of them
//! http, git      files from elsewhere
//! agent          SSH agents, for git and RUN
//! run/           RUN
//! copy/          COPY, ADD
//! make_dir       WORKDIR
//!
//! squash                  several layers as one
//! select, picked, files   which files a source path stands for, and their digest
//! operations              each operation handed to its file
//! layers                  those that steps run on, and those that a step made earlier
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
mod layers;
mod make_dir;
mod merge;
mod mounting;
mod operations;
mod owner;
mod picked;
mod root_dir;
mod run;
mod select;
mod squash;
mod stack;
mod visible;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gantry_cache::{LayerId, Lease, LogId, Store, WorkDir};
use gantry_image::layer::{Ids, UnpackOptions};
use gantry_sandbox::{Host, IdMap, Lower, Networks, Overlay, Retired};
use gantry_solver::op::ContextOp;
use gantry_solver::{Events, Graph, VertexId};
use gantry_tree::Dialect;

pub(crate) use self::agent::Agents;
pub(crate) use self::context::{Ignore, LocalContext};
pub(crate) use self::copy::is_tar_header;
pub(crate) use self::fault::{MAKE_SPACE, is_bug, is_out_of_memory, missing_source};
pub(crate) use self::files::kind_of;
pub(crate) use self::http::without_password;
pub(crate) use self::index::Index;
pub use self::mounting::indexes;
pub(crate) use self::operations::Origin;
pub(crate) use self::squash::squash;
pub(crate) use self::stack::{Stack, layer_id, layer_ref, open};

use self::fault::Fault;
use crate::registry::Lazy;
use crate::remote::Imports;
use crate::request::{DefaultNetwork, Entitlements, OnFail, Secret, Snapshotter};

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
            Snapshotter::Auto | Snapshotter::Attached | Snapshotter::Trees => {
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
        let wanted = overlay && self.snapshotter != Snapshotter::Trees;
        let indexes = &self.shared.indexes;
        Ok(wanted && *indexes.get_or_init(|| mounting::indexes(&self.store, &self.host)))
    }

    fn networks(&self) -> &Networks {
        self.shared
            .networks
            .get_or_init(|| Networks::new(&self.host, self.store.root().join("networks")))
    }

    /// Takes down the networks of steps, all of which have ended.
    pub(crate) fn retire_networks(&self) -> Option<Retired> {
        self.shared.networks.get().map(Networks::retire)
    }

    /// Warns about something, but not for every step again.
    fn warn_once(&self, events: &Events, about: &'static str, message: String) {
        let mut warned = self.shared.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(about) {
            events.warn(message);
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
