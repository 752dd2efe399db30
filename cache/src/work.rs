//! Work directories: where a layer is made before it has a name.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use gantry_tree::remove_tree;

use crate::StoreError;
use crate::error::Context;
use crate::store::Inner;

/// A directory of this process, on the file system of `layers/`, so that committing is a rename.
///
/// Dropping it removes what was not committed. A process that dies leaves it to be swept.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    // Keeps the owner's lock.
    inner: Arc<Inner>,
}

impl WorkDir {
    pub(crate) fn new(inner: &Arc<Inner>) -> Result<WorkDir, StoreError> {
        let path = inner.owner()?.fresh("dir");
        let work = WorkDir { path, inner: Arc::clone(inner) };
        for path in [work.path.clone(), work.upper(), work.work()] {
            work.make(&path)?;
        }
        Ok(work)
    }

    /// Makes a directory below it: [`merged`](Self::merged) or [`scratch`](Self::scratch), where
    /// they aren't there already.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn make(&self, path: &Path) -> Result<(), StoreError> {
        fs::create_dir(path).doing(|| format!("create `{}`", path.display()))?;
        // An upper's root directory becomes the root file system's: the umask must not show.
        let mode = std::fs::Permissions::from_mode(0o755);
        fs::set_permissions(path, mode).doing(|| format!("open up `{}`", path.display()))
    }

    /// The upper directory of an overlay: what a step leaves in it is a layer.
    pub fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// The overlay's own work directory.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// An empty directory to mount on.
    pub fn merged(&self) -> PathBuf {
        self.path.join("merged")
    }

    /// An empty directory for anything else.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// The directory that holds them all.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        match self.inner.owner() {
            Ok(owner) => self.inner.cleaner.remove(&self.path, owner.fresh("gone")),
            Err(_) => drop(remove_tree(&self.path)),
        }
    }
}
