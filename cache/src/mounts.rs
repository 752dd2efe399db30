//! Cache mounts: directories that outlive steps and are in no layer (`RUN --mount=type=cache`).
//!
//! Owns `mounts/`. A mount has one directory, or, for `private`, as many as there are users at the
//! same time. A flock on `<id>/<n>.lock` says who uses it: shared or alone, over all processes.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::StoreError;
use crate::error::Context;
use crate::lock::{self, Hold, LockGuard};
use crate::store::Inner;

/// The cache mounts of a store.
#[derive(Debug, Clone, Copy)]
pub struct Mounts<'s> {
    pub(crate) inner: &'s Inner,
}

/// Who else may use a cache mount at the same time (`sharing=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Nobody: a second user gets another directory.
    Private,
    /// Nobody: a second user waits.
    Locked,
}

/// A cache mount in use. Dropping it lets others have it.
#[derive(Debug)]
pub struct CacheMount {
    path: PathBuf,
    _use: LockGuard,
}

impl CacheMount {
    /// Returns the directory to be mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Mounts<'_> {
    /// Gets the mount `id`, waiting for it if `sharing` says so.
    ///
    /// A directory that isn't there yet is filled by `init` before anybody sees it: owner and mode,
    /// and what `from=` copies in.
    ///
    /// # Errors
    /// What `init` returns, or a failing system call; no directory appears then.
    pub fn acquire(
        &self,
        id: &str,
        sharing: Sharing,
        init: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
    ) -> Result<CacheMount, StoreError> {
        loop {
            if let Some(mount) = self.get(id, sharing, true, init)? {
                return Ok(mount);
            }
        }
    }

    /// As [`acquire`](Self::acquire), and returns `None` at once where that would wait.
    ///
    /// # Errors
    /// As `acquire`.
    pub fn try_acquire(
        &self,
        id: &str,
        sharing: Sharing,
        init: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
    ) -> Result<Option<CacheMount>, StoreError> {
        self.get(id, sharing, false, init)
    }

    fn get(
        &self,
        id: &str,
        sharing: Sharing,
        wait: bool,
        init: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
    ) -> Result<Option<CacheMount>, StoreError> {
        let hash = key(id);
        let dir = self.inner.layout.mounts().join(&hash);
        for instance in 0.. {
            // Pruning holds a lock alone, too, and takes the files of a mount away with it.
            fs::create_dir_all(&dir).doing(|| format!("create `{}`", dir.display()))?;
            let path = lock_path(&dir, instance);
            let hold = match sharing {
                Sharing::Shared => Hold::Shared,
                Sharing::Private | Sharing::Locked => Hold::Exclusive,
            };
            let guard = if wait && sharing != Sharing::Private {
                lock::take_kept(&path, hold)?
            } else {
                match lock::try_take_kept(&path, hold)? {
                    Some(guard) => guard,
                    None if sharing == Sharing::Private => continue,
                    None => return Ok(None),
                }
            };
            let path = dir.join(instance.to_string());
            if !path.is_dir() {
                self.fill(&path, &hash, instance, init)?;
            }
            self.note(&hash, instance, id)?;
            return Ok(Some(CacheMount { path, _use: guard }));
        }
        unreachable!("there is always another number")
    }

    fn fill(
        &self,
        path: &Path,
        hash: &str,
        instance: u64,
        init: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Two who share it may come first at the same time.
        let lock = self.inner.lock_path("mount", format!("{hash}/{instance}").as_bytes());
        let _one = lock::take(&lock, Hold::Exclusive)?;
        if path.is_dir() {
            return Ok(());
        }
        let staged = self.inner.owner()?.fresh("mount");
        let doing = || format!("create the cache mount `{}`", path.display());
        fs::create_dir(&staged).doing(doing)?;
        init(&staged)?;
        fs::rename(&staged, path).doing(doing)
    }

    fn note(&self, hash: &str, instance: u64, id: &str) -> Result<(), StoreError> {
        self.inner.db.write(|tx| {
            tx.prepare_cached(
                "insert into mounts values (?1, ?2, ?3, ?4, ?4) \
                 on conflict do update set used = ?4",
            )?
            .execute((
                hash,
                i64::try_from(instance).unwrap_or(i64::MAX),
                id,
                self.inner.now(),
            ))?;
            Ok(())
        })
    }
}

/// The directory's name of a mount.
fn key(id: &str) -> String {
    blake3::hash(id.as_bytes()).to_hex()[..32].to_owned()
}

/// Where the lock of one directory of a mount is.
pub(crate) fn lock_path(dir: &Path, instance: u64) -> PathBuf {
    dir.join(format!("{instance}.lock"))
}
