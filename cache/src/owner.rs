//! Who works here: one directory below `work/` a process, locked as long as the process lives.
//!
//! ```text
//! work/<pid>-<rand>/
//! ├── owner        flock'd; an unlocked one's owner is dead, whoever has its pid now
//! ├── build-<…>   a build that runs (see `builds`)
//! ├── lease-<n>    what the process uses (see `lease`)
//! ├── dir-<n>/     work directories (see `work`)
//! ├── gone-<n>/    work directories that the cleaner removes (see `cleaner`)
//! └── trash-<n>    what is being removed
//! ```

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use gantry_tree::remove_tree;
use rustix::fs::FlockOperation;

use crate::StoreError;
use crate::builds;
use crate::error::Context;
use crate::layout::Layout;
use crate::lock::{self, Hold};

/// This process's place below `work/`; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    dir: PathBuf,
    _owner: fs::File,
    counter: AtomicU64,
}

impl Owner {
    /// Makes the directory and locks it.
    pub(crate) fn new(layout: &Layout) -> Result<Owner, StoreError> {
        let name = format!("{}-{}", std::process::id(), hex(&random::<8>()));
        let dir = layout.work().join(name);
        // A sweeper must not come between making the directory and locking it.
        let _quiet = lock::take(&sweep_lock(layout), Hold::Shared)?;
        fs::create_dir(&dir).doing(|| format!("create `{}`", dir.display()))?;
        let path = dir.join("owner");
        let owner = fs::File::create(&path).doing(|| format!("create `{}`", path.display()))?;
        // Someone who just looks holds a shared lock for a moment.
        lock::flock(&owner, FlockOperation::LockExclusive)
            .doing(|| format!("lock `{}`", path.display()))?;
        Ok(Owner { dir, _owner: owner, counter: AtomicU64::new(0) })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name that nothing here has yet.
    pub(crate) fn fresh(&self, prefix: &str) -> PathBuf {
        self.dir.join(format!("{prefix}-{}", self.counter.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // What cannot be removed (without the user namespace, say) is swept later.
        let _ = remove_tree(&self.dir);
    }
}

/// The owner of this store handle, made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct LazyOwner(OnceLock<Owner>);

impl LazyOwner {
    pub(crate) fn get(&self, layout: &Layout) -> Result<&Owner, StoreError> {
        if let Some(owner) = self.0.get() {
            return Ok(owner);
        }
        // Two threads may both make one; the loser's goes again.
        let owner = Owner::new(layout)?;
        Ok(self.0.get_or_init(|| owner))
    }

    pub(crate) fn made(&self) -> Option<&Owner> {
        self.0.get()
    }
}

/// What is known of a directory below `work/`.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) dir: PathBuf,
    pub(crate) alive: bool,
}

/// Lists all owners. One that vanishes meanwhile is left out.
pub(crate) fn list(layout: &Layout) -> Result<Vec<Found>, StoreError> {
    let work = layout.work();
    let mut found = Vec::new();
    for entry in fs::read_dir(&work).doing(|| format!("list `{}`", work.display()))? {
        let dir = entry.doing(|| format!("list `{}`", work.display()))?.path();
        let path = dir.join("owner");
        let alive = match fs::File::open(&path) {
            Ok(file) => !lock::flock(&file, FlockOperation::NonBlockingLockShared)
                .doing(|| format!("try the lock `{}`", path.display()))?,
            Err(_) if !dir.exists() => continue,
            Err(_) => false,
        };
        found.push(Found { dir, alive });
    }
    Ok(found)
}

/// Removes what dead owners left; their builds go into the history. Returns how many directories
/// went.
///
/// Trees of a rootless store hold files of subordinate ids, which only go from inside the user
/// namespace: what resists stays for a later sweep.
pub(crate) fn sweep(layout: &Layout) -> Result<u64, StoreError> {
    let dead = {
        let Some(_quiet) = lock::try_take(&sweep_lock(layout), Hold::Exclusive)? else {
            return Ok(0);
        };
        list(layout)?.into_iter().filter(|found| !found.alive).collect::<Vec<_>>()
    };
    // Nobody ever takes a dead directory over, so removing needs no lock.
    let mut swept = 0;
    for found in dead {
        // A history with a gap is better than directories that stay.
        let _ = builds::settle(layout, &found.dir);
        if remove_tree(&found.dir).is_ok() {
            swept += 1;
        }
    }
    Ok(swept)
}

fn sweep_lock(layout: &Layout) -> PathBuf {
    layout.locks().join("sweep")
}

/// Bytes that nobody can guess, for names.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        // The kernel never fails this call once it has booted, and only then do programs run.
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => {
                let clock = std::time::SystemTime::now();
                let seed = format!("{clock:?} {} {filled}", std::process::id());
                bytes[filled..]
                    .copy_from_slice(&blake3::hash(seed.as_bytes()).as_bytes()[..N - filled]);
                filled = N;
            }
        }
    }
    bytes
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
