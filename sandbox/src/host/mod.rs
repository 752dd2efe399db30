//! What this host offers, found by trying, each with a reason where it does not.

mod index;
mod memory;
mod overlay;
mod report;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::thread::CapabilitySet;

use crate::{cgroup, net, userns};

/// What this host offers. Cheap to make: what is dear to find out is found out when asked.
#[derive(Debug)]
pub struct Host {
    root: bool,
    in_user_namespace: bool,
    capabilities: CapabilitySet,
    /// By filesystem.
    overlay: Mutex<HashMap<u64, Overlay>>,
    /// By filesystem; why not, if so.
    index: Mutex<HashMap<u64, Result<(), String>>>,
}

/// Looks at the host (a few syscalls).
pub fn probe() -> Host {
    Host {
        root: rustix::process::geteuid().is_root(),
        in_user_namespace: userns::ids::in_user_namespace(),
        capabilities: rustix::thread::capabilities(None)
            .map_or(CapabilitySet::empty(), |sets| sets.effective),
        overlay: Mutex::default(),
        index: Mutex::default(),
    }
}

/// Which of the caller's user and group IDs exist in the namespace that it is root of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMap {
    /// All of them: real root, or a namespace that maps everything.
    Full,
    /// Root and a range of subordinate IDs.
    SubIds {
        /// How many IDs there are, root included.
        count: u32,
    },
    /// Only root: files cannot be given to anybody else, and users other than root cannot run.
    Single,
}

/// Whether overlay can be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// It can.
    Available {
        /// Marks are `user.overlay.*` and the mount needs `userxattr`.
        userxattr: bool,
    },
    /// It cannot; copy instead.
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// Which cgroups there are to limit with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One hierarchy a controller (also in hybrid setups).
    V1,
    /// The unified hierarchy.
    V2,
    /// None that can be written to.
    None {
        /// Why.
        reason: String,
    },
}

/// A line of `gantry info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found, or why it is not there.
    pub detail: String,
    /// What to change, where something can be.
    pub fix: Option<String>,
}

/// How a [`Finding`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Works.
    Ok,
    /// Works in part or more slowly; something takes its place.
    Limited,
    /// Does not work.
    Missing,
}

impl Host {
    /// Whether this process is user 0 (perhaps of a user namespace only).
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// Whether this process is in a user namespace other than the initial one.
    pub fn in_user_namespace(&self) -> bool {
        self.in_user_namespace
    }

    /// Whether sandboxes need [`reexec_in_user_namespace`](crate::reexec_in_user_namespace)
    /// first: this process may not mount.
    pub fn needs_user_namespace(&self) -> bool {
        !self.root || !self.capabilities.contains(CapabilitySet::SYS_ADMIN)
    }

    /// The IDs there are now (after a re-execution: those of that namespace).
    pub fn id_map(&self) -> IdMap {
        userns::ids::map()
    }

    /// Whether overlay can be mounted over directories on the filesystem of `directory`, found
    /// by mounting one there (in a scratch directory that is removed). Remembered per filesystem.
    /// A directory that is not there yet is looked for where it would be made.
    pub fn overlay(&self, directory: &Path) -> Overlay {
        if self.needs_user_namespace() {
            let reason = "this process may not mount before it is root of a user namespace";
            return Overlay::Unavailable { reason: reason.to_owned() };
        }
        let filesystem = match filesystem(directory) {
            Ok(filesystem) => filesystem,
            Err(reason) => return Overlay::Unavailable { reason },
        };
        let directory = existing(directory);
        locked(&self.overlay)
            .entry(filesystem)
            .or_insert_with(|| overlay::attempt(directory, self.in_user_namespace))
            .clone()
    }

    /// Whether layers can be used without being unpacked ([`Lower::Index`](crate::Lower::Index))
    /// when they lie on the filesystem of `directory`; else why not. Found and remembered as
    /// [`overlay`](Self::overlay) is.
    ///
    /// # Errors
    /// The reason.
    pub fn index(&self, directory: &Path) -> Result<(), String> {
        match self.overlay(directory) {
            // Marks in an index are `trusted.*`, and ordinary users may not mount EROFS at all.
            Overlay::Available { userxattr: false } => {}
            Overlay::Available { userxattr: true } => {
                return Err("only the root user of this machine may mount EROFS".to_owned());
            }
            Overlay::Unavailable { reason } => return Err(reason),
        }
        let filesystem = filesystem(directory)?;
        let directory = existing(directory);
        locked(&self.index).entry(filesystem).or_insert_with(|| index::attempt(directory)).clone()
    }

    /// Which cgroups can limit a step.
    pub fn cgroups(&self) -> CgroupVersion {
        cgroup::version()
    }

    /// Whether the bridge with NAT can be made; else why not.
    ///
    /// # Errors
    /// The reason.
    pub fn bridge(&self) -> Result<(), String> {
        net::bridge_available()
    }

    /// Whether `pasta` can give a network; else why not.
    ///
    /// # Errors
    /// The reason.
    pub fn pasta(&self) -> Result<(), String> {
        net::pasta_available()
    }

    /// Everything, for people: what works, what does not, and which knob is missing.
    /// `store` is where layers live.
    pub fn report(&self, store: &Path) -> Vec<Finding> {
        report::findings(self, store)
    }
}

/// The directory, or the one that it would be made in.
fn existing(directory: &Path) -> &Path {
    directory.ancestors().find(|path| path.is_dir()).unwrap_or(directory)
}

/// The number of the filesystem that a directory is on, or would be.
fn filesystem(directory: &Path) -> Result<u64, String> {
    let directory = existing(directory);
    rustix::fs::stat(directory)
        .map(|stat| stat.st_dev)
        .map_err(|errno| format!("`{}` cannot be looked at: {errno}", directory.display()))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
