//! [`Index`]: what earlier builds know of the files of a context, loaded once and written back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use gantry_cache::{ContextIndex, ContextIndexBuilder, Look, Store};
use gantry_tree::{ContentId, Glance, Scan, Stat, TreePath};

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
    /// What selections looked like, in earlier builds and in this one.
    looks: OnceLock<Mutex<Looks>>,
}

#[derive(Debug, Default)]
struct Looks {
    all: Vec<Look>,
    /// Some are new.
    changed: bool,
}

/// What was known when the build began.
#[derive(Debug)]
pub(crate) struct Known(Option<ContextIndex>);

impl Index {
    /// Makes the index of the context `id`. Reads nothing yet.
    pub(crate) fn new(store: Store, id: Option<Vec<u8>>) -> Self {
        Self { store: Some(store), id, ..Self::none() }
    }

    /// Makes an index that knows nothing and remembers nothing.
    pub(crate) fn none() -> Self {
        let (loaded, stale) = (OnceLock::new(), AtomicBool::new(false));
        let (started, looks) = (SystemTime::now(), OnceLock::new());
        Self { store: None, id: None, loaded, started, stale, looks }
    }

    /// Returns what is known. An index that can't be read means that files are read.
    pub(crate) fn load(&self) -> &Known {
        self.loaded.get_or_init(|| {
            let known = self.store.as_ref().zip(self.id.as_ref());
            Known(known.and_then(|(store, id)| store.contexts().load(id).ok().flatten()))
        })
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        let looks = self.looks.get_or_init(|| {
            let known = self.store.as_ref().zip(self.id.as_ref());
            let all = known.and_then(|(store, id)| store.contexts().looks(id).ok());
            Mutex::new(Looks { all: all.unwrap_or_default(), changed: false })
        });
        looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether a later build can learn from this one.
    pub(crate) fn remembers(&self) -> bool {
        self.store.is_some() && self.id.is_some()
    }

    /// Says whether it is known what a selection looked like at one time.
    pub(crate) fn has_seen(&self, selection: &[u8; 32]) -> bool {
        self.remembers() && self.looks().all.iter().any(|look| look.selection == *selection)
    }

    /// Returns the digest of a selection's content, if it looks as it did when that was known.
    pub(crate) fn digest(&self, selection: &[u8; 32], glance: &Glance) -> Option<[u8; 32]> {
        let looks = self.looks();
        let same = |look: &&Look| look.selection == *selection && look.glance == glance.digest;
        looks.all.iter().find(same).map(|look| look.digest)
    }

    /// Remembers what a selection looks like that holds this, unless something in it was touched
    /// so late that a change since would not show.
    pub(crate) fn note_look(&self, selection: [u8; 32], glance: &Glance, digest: [u8; 32]) {
        let builder = ContextIndexBuilder::new(self.started);
        if !self.remembers()
            || !builder.is_settled(glance.newest)
            || !builder.is_settled(glance.newest_whole)
        {
            return;
        }
        let look = Look { selection, glance: glance.digest, digest };
        let mut looks = self.looks();
        if !looks.all.contains(&look) {
            looks.all.retain(|look| look.selection != selection);
            looks.all.push(look);
            looks.changed = true;
        }
    }

    /// Says whether [`save`](Self::save) will replace the whole index.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
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
            let mut looks = self.looks();
            if std::mem::take(&mut looks.changed) {
                let _ = store.contexts().keep_looks(id, &looks.all);
            }
            return;
        }
        let mut builder = ContextIndexBuilder::new(self.started);
        scans.for_each(|scan| builder.add_scan(scan));
        builder.set_looks(self.looks().all.clone());
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
