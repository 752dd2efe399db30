//! Opening a store, and the handle that everything else hangs on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use fs_err as fs;

use crate::cleaner::Cleaner;
use crate::db::{self, Db, locked};
use crate::error::Context;
use crate::layers::ManifestCache;
use crate::layout::{DIRECTORIES, Layout};
use crate::lease::LeaseFile;
use crate::lock::{self, Hold};
use crate::owner::{self, LazyOwner, Owner};
use crate::prune;
use crate::{
    Blobs, Builds, Contexts, Fetch, Images, Layers, Lease, LockGuard, Logs, Mounts, Pins, Records,
    StoreError, WorkDir,
};

/// A store, as one process uses it. Cloning shares the handle.
///
/// All that is put into the store through one handle is leased by it until the last clone is
/// dropped, so nothing of it can be pruned while a build still means to use it.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// Fetches layers that were not needed before.
    pub(crate) fetcher: Option<Arc<dyn Fetch>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) db: Db,
    pub(crate) manifests: ManifestCache,
    boot: String,
    /// What stands for the present, if not the machine's clock does.
    present: Option<SystemTime>,
    made: OnceLock<LeaseFile>,
    swept: AtomicBool,
    sweeper: Mutex<Option<std::thread::JoinHandle<()>>>,
    pub(crate) cleaner: Cleaner,
    // Last: its directory goes when the leases in it have gone.
    pub(crate) owner: LazyOwner,
}

/// How to open a store.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Makes the store, or what of it is missing.
    pub create: bool,
    /// What stands for `/proc/sys/kernel/random/boot_id`: another one than last time means that
    /// the machine went down, and that what was not synced is lost. `None` asks the kernel.
    pub boot_id: Option<String>,
    /// What stands for the present in all that this handle notes: when something came, and when it
    /// was used. `None` asks the machine's clock. Locks, and whether files have settled, go by that
    /// in any case.
    pub present: Option<SystemTime>,
}

impl Inner {
    /// The present, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.present.map_or_else(db::now, db::to_millis)
    }
}

impl Store {
    /// Opens the store at `root`. Takes less than a millisecond if it is there and up to date.
    ///
    /// # Errors
    /// [`StoreError::Missing`] unless `create` is set, [`StoreError::Newer`] for a store of a newer
    /// gantry, [`StoreError::NotAStore`] if `gantry.db` is somebody else's.
    pub fn open(root: &Path, options: OpenOptions) -> Result<Store, StoreError> {
        let layout = Layout::new(root);
        let path = layout.database();
        let made = !path.exists();
        if made {
            if !options.create {
                return Err(StoreError::Missing { root: root.to_path_buf() });
            }
            make_directories(root)?;
        }
        let db = Db::open(root, path, options.create)?;
        let boot = match options.boot_id {
            Some(boot) => boot,
            None => {
                let path = "/proc/sys/kernel/random/boot_id";
                let text = fs::read_to_string(path).doing(|| format!("read `{path}`"))?;
                text.trim().to_owned()
            }
        };
        let store = Store {
            fetcher: None,
            inner: Arc::new(Inner {
                layout,
                db,
                manifests: ManifestCache::default(),
                boot,
                present: options.present,
                made: OnceLock::new(),
                swept: AtomicBool::new(false),
                sweeper: Mutex::new(None),
                cleaner: Cleaner::default(),
                owner: LazyOwner::default(),
            }),
        };
        let inner = &store.inner;
        if made {
            inner.keep_reserve();
        }
        let lost = db::check_boot(&inner.db, &inner.boot, &inner.layout)?;
        for path in lost.paths(&inner.layout) {
            // What resists is a leftover, which `prune` and `fsck` know.
            let _ = prune::remove_orphan(inner, &path);
        }
        Ok(store)
    }

    /// Opens the store at `root` if there is one, else says so by `None`.
    ///
    /// # Errors
    /// As [`open`](Self::open), without [`StoreError::Missing`].
    pub fn open_existing(root: &Path) -> Result<Option<Store>, StoreError> {
        match Store::open(root, OpenOptions::default()) {
            Err(StoreError::Missing { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Puts a store's database out of the way when it is damaged beyond reading, and returns where.
    ///
    /// The next [`open`](Self::open) makes a new one. What the old one knew is built or pulled
    /// again, and its files are leftovers for pruning; cache mounts and context indexes stay.
    ///
    /// # Errors
    /// When it can't be moved.
    pub fn set_aside(root: &Path) -> Result<PathBuf, StoreError> {
        let from = Layout::new(root).database();
        let to = root.join(format!("gantry.db.damaged-{}", db::now()));
        for suffix in ["-wal", "-shm", ""] {
            let with = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                PathBuf::from(name)
            };
            match fs::rename(with(&from), with(&to)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.doing(|| format!("set `{}` aside", from.display()))?,
            }
        }
        Ok(to)
    }

    /// Returns a handle that can fetch layers of images which nobody needed before.
    #[must_use]
    pub fn with_fetcher(&self, fetcher: Arc<dyn Fetch>) -> Store {
        Store { inner: Arc::clone(&self.inner), fetcher: Some(fetcher) }
    }

    /// Returns where the store lies.
    pub fn root(&self) -> &Path {
        self.inner.layout.root()
    }

    /// Bytes by their sha256.
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs { inner: &self.inner }
    }

    /// Layers and their forms.
    pub fn layers(&self) -> Layers<'_> {
        Layers { inner: &self.inner, fetcher: self.fetcher.as_deref() }
    }

    /// Results of build steps.
    pub fn records(&self) -> Records<'_> {
        Records { inner: &self.inner }
    }

    /// Outputs of build steps.
    pub fn logs(&self) -> Logs<'_> {
        Logs { inner: &self.inner }
    }

    /// The history of builds.
    pub fn builds(&self) -> Builds<'_> {
        Builds { inner: &self.inner }
    }

    /// Images and their names.
    pub fn images(&self) -> Images<'_> {
        Images { inner: &self.inner }
    }

    /// What containers use.
    pub fn pins(&self) -> Pins<'_> {
        Pins { inner: &self.inner }
    }

    /// Context indexes.
    pub fn contexts(&self) -> Contexts<'_> {
        Contexts { inner: &self.inner }
    }

    /// Cache mounts.
    pub fn mounts(&self) -> Mounts<'_> {
        Mounts { inner: &self.inner }
    }

    /// Starts a lease: what it keeps is not pruned while it lives.
    ///
    /// # Errors
    /// When its file can't be written.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        let path = self.inner.owner()?.fresh("lease");
        Ok(Lease { file: LeaseFile::new(path)?, inner: Arc::clone(&self.inner) })
    }

    /// Makes a directory to build a layer in. It goes when it is dropped, or with its process.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn work_dir(&self) -> Result<WorkDir, StoreError> {
        let work = self.bare_work_dir()?;
        work.make(&work.merged())?;
        work.make(&work.scratch())?;
        Ok(work)
    }

    /// The same with an upper directory and overlay's work directory only: what a step needs.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn bare_work_dir(&self) -> Result<WorkDir, StoreError> {
        self.inner.sweep_in_background()?;
        WorkDir::new(&self.inner)
    }

    /// Waits for an advisory lock: one process (and thread) at a time holds the lock of a key.
    ///
    /// Look for the result again once you have it: who held it before may have made it.
    ///
    /// # Errors
    /// When the lock file can't be opened.
    pub fn lock(&self, kind: &str, key: &[u8]) -> Result<LockGuard, StoreError> {
        lock::take(&self.inner.lock_path(kind, key), Hold::Exclusive)
    }

    /// Takes an advisory lock, or returns `None` if somebody holds it.
    ///
    /// # Errors
    /// When the lock file can't be opened.
    pub fn try_lock(&self, kind: &str, key: &[u8]) -> Result<Option<LockGuard>, StoreError> {
        lock::try_take(&self.inner.lock_path(kind, key), Hold::Exclusive)
    }

    /// Removes what dead processes left below `work/`. Returns how many there were.
    ///
    /// [`work_dir`](Self::work_dir) does this in the background. In a rootless store, files with
    /// subordinate ids only go from inside the user namespace; they wait for a sweep from there.
    ///
    /// # Errors
    /// When `work/` can't be listed.
    pub fn sweep(&self) -> Result<u64, StoreError> {
        owner::sweep(&self.inner.layout)
    }

    /// Makes sure that all that was put in so far survives a power failure.
    ///
    /// For the end of a command, when its result is already there: costs one `syncfs` if anything
    /// is unsynced. Without it, a power failure makes the next opener drop what was new.
    ///
    /// # Errors
    /// When the file system can't be synced; the store is fine, but what is new stays unsynced.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }
}

impl Inner {
    pub(crate) fn owner(&self) -> Result<&Owner, StoreError> {
        self.owner.get(&self.layout)
    }

    pub(crate) fn lock_path(&self, kind: &str, key: &[u8]) -> PathBuf {
        let hash = owner::hex(&blake3::hash(key).as_bytes()[..16]);
        self.layout.locks().join(format!("{kind}-{hash}"))
    }

    /// Keeps what this handle is about to put in.
    pub(crate) fn lease_own(&self, line: String) -> Result<(), StoreError> {
        if self.made.get().is_none() {
            let file = LeaseFile::new(self.owner()?.fresh("lease"))?;
            // The loser of two threads removes its file again.
            let _ = self.made.set(file);
        }
        self.made.get().map_or(Ok(()), |lease| lease.add([line]))
    }

    /// Clears away what dead processes left, on a thread of its own, and only if there is any. Once
    /// a handle: who dies while this process works is left to the next.
    fn sweep_in_background(self: &Arc<Inner>) -> Result<(), StoreError> {
        if self.swept.swap(true, Ordering::Relaxed)
            || owner::list(&self.layout)?.iter().all(|found| found.alive)
        {
            return Ok(());
        }
        let mut sweeper = locked(&self.sweeper);
        let layout = self.layout.clone();
        // A sweep that does not happen or ends half-way is made up for by the next one.
        *sweeper = std::thread::Builder::new()
            .name("gantry-sweep".to_owned())
            .spawn(move || drop(owner::sweep(&layout)))
            .ok();
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(sweeper) = locked(&self.sweeper).take() {
            let _ = sweeper.join();
        }
    }
}

fn make_directories(root: &Path) -> Result<(), StoreError> {
    let make =
        |path: &Path| fs::create_dir_all(path).doing(|| format!("create `{}`", path.display()));
    make(root)?;
    for name in DIRECTORIES {
        make(&root.join(name))?;
    }
    // Trees hold set-uid programs and other people's files: nobody else may look in.
    use std::os::unix::fs::PermissionsExt;
    for name in ["layers", "work", "mounts"] {
        let path = root.join(name);
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
            .doing(|| format!("protect `{}`", path.display()))?;
    }
    Ok(())
}
