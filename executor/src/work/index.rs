//! [`Index`]: what earlier builds know of the files of a context, loaded once and written back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use gantry_cache::{ContextIndex, ContextIndexBuilder, Store};
use gantry_tree::{ContentId, Scan, Stat, TreePath};

/// Above this many known files a scan is worth more than one thread.
const PARALLEL: usize = 2000;

/// The index of one context directory.
#[derive(Debug)]
pub(crate) struct Index {
    store: Option<Store>,
    /// What tells this context from others; `None` for one that no later build can see again.
    id: Option<Vec<u8>>,
    loaded: OnceLock<Known>,
    /// When the first file of this build was looked at.
    started: SystemTime,
    /// Some file was read, so the index is no longer what it could be.
    stale: AtomicBool,
}

/// What was known when the build began.
#[derive(Debug)]
pub(crate) struct Known(Option<ContextIndex>);

impl Index {
    /// Makes the index of the context `id`. Reads nothing yet.
    pub(crate) fn new(store: Store, id: Option<Vec<u8>>) -> Self {
        let (loaded, stale) = (OnceLock::new(), AtomicBool::new(false));
        Self { store: Some(store), id, loaded, started: SystemTime::now(), stale }
    }

    /// Makes an index that knows nothing and remembers nothing.
    pub(crate) fn none() -> Self {
        let (loaded, stale) = (OnceLock::new(), AtomicBool::new(false));
        Self { store: None, id: None, loaded, started: SystemTime::now(), stale }
    }

    /// Returns what is known. An index that can't be read means that files are read.
    pub(crate) fn load(&self) -> &Known {
        self.loaded.get_or_init(|| {
            let known = self.store.as_ref().zip(self.id.as_ref());
            Known(known.and_then(|(store, id)| store.contexts().load(id).ok().flatten()))
        })
    }

    /// Notes whether a scan of this build had to read a file.
    pub(crate) fn note(&self, scan: &Scan) {
        if scan.files_read > 0 {
            self.stale.store(true, Ordering::Relaxed);
        }
    }

    /// Writes what the scans of this build found, if it is anything new. It only saves time:
    /// failing is no error.
    pub(crate) fn save<'s>(&self, scans: impl Iterator<Item = &'s Scan>) {
        let Some((store, id)) = self.store.as_ref().zip(self.id.as_ref()) else { return };
        if !self.stale.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut builder = ContextIndexBuilder::new(self.started);
        scans.for_each(|scan| builder.add_scan(scan));
        let _ = store.contexts().save(id, builder);
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
