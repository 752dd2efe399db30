//! Advisory locks between processes: `flock` on files below `locks/`.
//!
//! The kernel drops a lock with the last descriptor of its open file, so `kill -9` frees it. Two
//! threads of one process exclude each other too, because each opens the file anew. Descriptors
//! are close-on-exec: a step's processes never inherit a lock.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::StoreError;
use crate::error::Context;

/// Holds an advisory lock until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the guard lets the lock go"]
pub struct LockGuard {
    file: fs::File,
    /// Removed before the lock goes, unless the lock is shared.
    path: Option<PathBuf>,
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Shared,
    Exclusive,
}

/// Takes the lock at `path`, waiting for whoever holds it.
///
/// An exclusive holder removes the file when it is done, so `locks/` does not grow; whoever waited
/// on the removed file notices and starts over.
pub(crate) fn take(path: &Path, hold: Hold) -> Result<LockGuard, StoreError> {
    loop {
        if let Some(guard) = attempt(path, hold, true)? {
            return Ok(guard);
        }
    }
}

/// Takes the lock at `path` if that needs no waiting.
pub(crate) fn try_take(path: &Path, hold: Hold) -> Result<Option<LockGuard>, StoreError> {
    attempt(path, hold, false)
}

/// As [`take`], for a lock file that stays where it is.
pub(crate) fn take_kept(path: &Path, hold: Hold) -> Result<LockGuard, StoreError> {
    take(path, hold).map(LockGuard::keeping)
}

/// As [`try_take`], for a lock file that stays where it is.
pub(crate) fn try_take_kept(path: &Path, hold: Hold) -> Result<Option<LockGuard>, StoreError> {
    Ok(try_take(path, hold)?.map(LockGuard::keeping))
}

fn attempt(path: &Path, hold: Hold, wait: bool) -> Result<Option<LockGuard>, StoreError> {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .doing(|| format!("open the lock `{}`", path.display()))?;
    let operation = match (hold, wait) {
        (Hold::Shared, true) => FlockOperation::LockShared,
        (Hold::Shared, false) => FlockOperation::NonBlockingLockShared,
        (Hold::Exclusive, true) => FlockOperation::LockExclusive,
        (Hold::Exclusive, false) => FlockOperation::NonBlockingLockExclusive,
    };
    if !flock(&file, operation).doing(|| format!("lock `{}`", path.display()))? {
        return Ok(None);
    }
    // Whoever held it before may have removed the file; a lock on a nameless file excludes nobody.
    let ours = file.metadata().doing(|| format!("look at `{}`", path.display()))?;
    match fs::symlink_metadata(path) {
        Ok(there) if there.ino() == ours.ino() => {}
        _ => return if wait { Ok(None) } else { attempt(path, hold, wait) },
    }
    let path = (hold == Hold::Exclusive).then(|| path.to_path_buf());
    Ok(Some(LockGuard { file, path }))
}

/// Says whether the lock was had; false if another holds it and we did not want to wait.
pub(crate) fn flock(file: &fs::File, operation: FlockOperation) -> Result<bool, Errno> {
    loop {
        return match rustix::fs::flock(file.file(), operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(Errno::INTR) => continue,
            Err(error) => Err(error),
        };
    }
}

impl LockGuard {
    /// Lets the file stay when the lock goes.
    fn keeping(mut self) -> LockGuard {
        self.path = None;
        self
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that stays is only untidy; the next holder removes it.
            let _ = fs::remove_file(path);
        }
        // Said explicitly: a descriptor that a child got between fork and exec would keep it.
        let _ = rustix::fs::flock(self.file.file(), FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn at_most_one_thread_holds_it_and_nothing_stays_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let guard = take(&path, Hold::Exclusive).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(guard);
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn shared_holders_keep_an_exclusive_one_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let one = take(&path, Hold::Shared).unwrap();
        let two = take(&path, Hold::Shared).unwrap();
        assert!(try_take(&path, Hold::Exclusive).unwrap().is_none());
        drop((one, two));
        assert!(try_take(&path, Hold::Exclusive).unwrap().is_some());
    }
}
