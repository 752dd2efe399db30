//! [`Index`]: what earlier builds know of the files of a context, loaded once and written back.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use gantry_cache::{ContextIndex, ContextIndexBuilder, Store};
use gantry_tree::{ContentId, Scan, Stat, TreePath};

/// Above this many known files a scan is worth more than one thread.
const PARALLEL: usize = 2000;

/// The index of one context directory.
#[derive(Debug)]
pub(crate) struct Index {
    store: Store,
    /// What tells this context from others; `None` for one that no later build can see again.
    id: Option<Vec<u8>>,
    loaded: OnceLock<Known>,
    learnt: Mutex<Learnt>,
}

/// What was known when the build began.
#[derive(Debug)]
pub(crate) struct Known(Option<ContextIndex>);

#[derive(Debug)]
struct Learnt {
    /// When the first file of this build was looked at.
    started: SystemTime,
    files: Vec<(TreePath, Stat, ContentId)>,
    /// Some file was read, so the index is no longer what it could be.
    stale: bool,
}

impl Index {
    /// Makes the index of the context `id`. Reads nothing yet.
    pub(crate) fn new(store: Store, id: Option<Vec<u8>>) -> Self {
        let learnt = Learnt { started: SystemTime::now(), files: Vec::new(), stale: false };
        Self { store, id, loaded: OnceLock::new(), learnt: Mutex::new(learnt) }
    }

    /// Returns what is known. An index that can't be read means that files are read.
    pub(crate) fn load(&self) -> &Known {
        self.loaded.get_or_init(|| {
            let id = self.id.as_ref();
            Known(id.and_then(|id| self.store.contexts().load(id).ok().flatten()))
        })
    }

    /// Takes in what a scan of this build found.
    pub(crate) fn learn(&self, scan: &Scan) {
        if self.id.is_none() {
            return;
        }
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.stale |= scan.files_read > 0;
        let files = scan.indexable().map(|(path, stat, content)| (path.clone(), *stat, content));
        learnt.files.extend(files);
    }

    /// Writes what was learnt, if it is anything new. It only saves time: failing is no error.
    pub(crate) fn save(&self) {
        let Some(id) = &self.id else { return };
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut learnt.stale) {
            return;
        }
        let mut builder = ContextIndexBuilder::new(learnt.started);
        for (path, stat, content) in learnt.files.drain(..) {
            builder.add(&path, &stat, content);
        }
        let _ = self.store.contexts().save(id, builder);
    }
}

impl Known {
    /// Returns what the file at `path` holds, if its stat is as it was.
    pub(crate) fn known(&self, path: &TreePath, stat: &Stat) -> Option<ContentId> {
        self.0.as_ref()?.known(path, stat)
    }

    /// How many threads a scan should take: starting them costs more than a small scan.
    pub(crate) fn workers(&self) -> usize {
        match &self.0 {
            Some(index) if index.len() < PARALLEL => 1,
            _ => 0,
        }
    }
}
