//! What this host offers, found by trying, each with a reason where it does not.

use std::path::Path;

/// What this host offers. Cheap to make: what is dear to find out is found out when asked.
#[derive(Debug)]
pub struct Host {}

/// Looks at the host (a few syscalls).
pub fn probe() -> Host {
    Host {}
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
        todo!()
    }

    /// Whether this process is in a user namespace that does not map all IDs to themselves.
    pub fn in_user_namespace(&self) -> bool {
        todo!()
    }

    /// Whether sandboxes need [`reexec_in_user_namespace`](crate::reexec_in_user_namespace)
    /// first: this process may not mount.
    pub fn needs_user_namespace(&self) -> bool {
        todo!()
    }

    /// The IDs there are now (after a re-execution: those of that namespace).
    pub fn id_map(&self) -> IdMap {
        todo!()
    }

    /// Whether overlay can be mounted over directories on the filesystem of `directory`, found
    /// by mounting one there (in a scratch directory that is removed). Remembered per filesystem.
    pub fn overlay(&self, directory: &Path) -> Overlay {
        let _ = directory;
        todo!()
    }

    /// Which cgroups can limit a step.
    pub fn cgroups(&self) -> CgroupVersion {
        todo!()
    }

    /// Whether the bridge with NAT can be made; else why not.
    pub fn bridge(&self) -> Result<(), String> {
        todo!()
    }

    /// Whether `pasta` can give a network; else why not.
    pub fn pasta(&self) -> Result<(), String> {
        todo!()
    }

    /// Everything, for people: what works, what does not, and which knob is missing.
    /// `store` is where layers live.
    pub fn report(&self, store: &Path) -> Vec<Finding> {
        let _ = store;
        todo!()
    }
}
