//! Control groups: made only for steps that have limits, and removed with them.
//!
//! ```text
//! v1: <hierarchy>/<gantry's own group>/gantry-<pid>-<start>-<n>/   in each that is limited or looked at
//! v2: <nearest group that may have children>/gantry-<pid>-<start>-<n>/
//! ```
//!
//! Below gantry's own group where that is possible: so a step never gets more than whoever
//! started gantry was given. The name says whose it is: groups of dead owners are removed by the
//! next gantry that makes one beside them.

mod hierarchy;
mod v1;
mod v2;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{CgroupVersion, Limits, SpawnError};

/// A group (in v1: one a controller) that a child joins.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directories: Vec<PathBuf>,
    /// The file that counts kills, and in which line.
    oom: Option<PathBuf>,
    /// In v1: what the child is to see of them.
    shown: Vec<Shown>,
}

/// A group of a v1 hierarchy, as its members are to see it below `/sys/fs/cgroup`.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Its controllers.
    pub(crate) controllers: Vec<String>,
    /// The group on the host.
    pub(crate) directory: PathBuf,
}

/// Which version could limit a step.
pub(crate) fn version() -> CgroupVersion {
    match hierarchy::find() {
        Err(reason) => CgroupVersion::None { reason },
        Ok(hierarchy::Hierarchies::V1(found)) => match v1::parent(&found, "memory", None) {
            Ok(parent) if writable(&parent) => CgroupVersion::V1,
            Ok(parent) => {
                CgroupVersion::None { reason: format!("`{}` is not writable", parent.display()) }
            }
            Err(reason) => CgroupVersion::None { reason },
        },
        Ok(hierarchy::Hierarchies::V2(found)) => match v2::parent(&found, &["memory"], None) {
            Ok(_) => CgroupVersion::V2,
            Err(reason) => CgroupVersion::None { reason },
        },
    }
}

impl Cgroup {
    /// Makes a group with these limits.
    ///
    /// # Errors
    /// [`SpawnError::Limit`] if a limit that was asked for cannot be set: it is not left out.
    pub(crate) fn new(limits: &Limits) -> Result<Self, SpawnError> {
        let found = hierarchy::find().map_err(|reason| unavailable("anything", reason))?;
        match found {
            hierarchy::Hierarchies::V1(found) => v1::make(&found, limits),
            hierarchy::Hierarchies::V2(found) => v2::make(&found, limits),
        }
    }

    fn empty() -> Self {
        Self { directories: Vec::new(), oom: None, shown: Vec::new() }
    }

    /// Makes a group below `parent` and keeps it for removal.
    fn add(&mut self, parent: &Path, name: &str) -> io::Result<PathBuf> {
        sweep(parent);
        let directory = parent.join(name);
        fs_err::create_dir(&directory)?;
        self.directories.push(directory.clone());
        Ok(directory)
    }

    /// Removes the group that was added last: it can't be joined.
    fn remove_last(&mut self) {
        if let Some(directory) = self.directories.pop() {
            let _ = fs_err::remove_dir(directory);
        }
    }

    /// What its members are to see of v1's hierarchies; nothing in v2, where they mount their own.
    pub(crate) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// Opens the files through which a process joins, by writing `0`.
    pub(crate) fn procs(&self) -> Result<Vec<OwnedFd>, SpawnError> {
        let open = |directory: &PathBuf| {
            fs_err::OpenOptions::new()
                .write(true)
                .open(directory.join("cgroup.procs"))
                .map(|file| OwnedFd::from(file.into_parts().0))
                .map_err(limit("the process"))
        };
        self.directories.iter().map(open).collect()
    }

    /// Whether the kernel has killed something in it for want of memory.
    pub(crate) fn oom_killed(&self) -> bool {
        let Some(path) = &self.oom else { return false };
        let text = fs_err::read_to_string(path).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix("oom_kill "))
            .any(|count| count.trim() != "0")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // Its last process has been waited for, but leaves a moment later.
            for _ in 0..200 {
                match fs_err::remove_dir(directory) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    _ => break,
                }
            }
        }
    }
}

fn limit(what: impl Into<String>) -> impl FnOnce(io::Error) -> SpawnError {
    |cause| SpawnError::Limit { what: what.into(), cause }
}

fn unavailable(what: &str, reason: String) -> SpawnError {
    SpawnError::Limit { what: what.to_owned(), cause: io::Error::other(reason) }
}

/// Writes a limit; `what` is for people.
fn set(directory: &Path, file: &str, value: &str, what: &str) -> Result<(), SpawnError> {
    fs_err::write(directory.join(file), value).map_err(limit(format!("{what} to `{value}`")))
}

fn writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// A name that no other group has, from which its owner can be told.
fn new_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("gantry-{pid}-{}-{count}", started(pid).unwrap_or(0))
}

/// Removes the groups of owners that are gone. One that still has processes is refused.
fn sweep(parent: &Path) {
    let Ok(entries) = fs_err::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix("gantry-")) else {
            continue;
        };
        let mut numbers = owner.split('-').map(str::parse::<u64>);
        if let (Some(Ok(pid)), Some(Ok(start))) = (numbers.next(), numbers.next())
            && u32::try_from(pid).ok().and_then(started) != Some(start)
        {
            let _ = fs_err::remove_dir(entry.path());
        }
    }
}

/// When a process started, in ticks since boot: with its ID, this names it for good.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the start is the 20th field after it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_start() {
        assert!(started(std::process::id()).is_some_and(|start| start > 0));
        assert_eq!(started(u32::MAX), None);
    }

    #[test]
    fn groups_of_the_dead_are_swept_and_of_the_living_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let own = new_name();
        for name in [own.as_str(), "gantry-4294967295-1-0", "gantry-x", "other"] {
            fs_err::create_dir(parent.path().join(name)).unwrap();
        }
        sweep(parent.path());
        let left = fs_err::read_dir(parent.path()).unwrap().count();
        assert_eq!(left, 3);
        assert!(parent.path().join(own).exists());
    }
}
