//! What can go wrong, by whose question it answers.
//!
//! Texts that Docker's users know (`unable to find user x: …`) are kept to the letter.

mod step;

use std::io;
use std::path::PathBuf;

pub use step::Step;

/// Why a process could not be started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program is not there, or not in `PATH`. Exit code 127.
    #[error("exec: {program:?}: {}", if *.in_path { "executable file not found in $PATH" } else { "stat: no such file or directory" })]
    NotFound {
        /// As given.
        program: String,
        /// Whether it was searched in `PATH`.
        in_path: bool,
    },
    /// The program is there, but cannot be executed. Exit code 126.
    #[error("exec: {program:?}: cannot be executed")]
    NotExecutable {
        /// As given.
        program: String,
        /// `EACCES`, `ENOEXEC`, ….
        #[source]
        cause: io::Error,
    },
    /// The program is there, but what its `#!` line or ELF header names is not. Exit code 127.
    #[error("exec: {program:?}: the interpreter or loader that it names is not there")]
    NoInterpreter {
        /// As given.
        program: String,
    },
    /// The program's name leads out of the root (a magic link such as `/proc/self/exe`).
    #[error("exec: {program:?}: leads out of the root filesystem")]
    OutsideRoot {
        /// As given.
        program: String,
    },
    /// `argv` is empty.
    #[error("No command was given")]
    NoCommand,
    /// A NUL byte where none can be.
    #[error("{what} `{value}` holds a NUL byte")]
    Nul {
        /// Which part of the spec.
        what: &'static str,
        /// Its text.
        value: String,
    },
    /// `USER` names somebody whom `/etc/passwd` does not know.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoSuchUser(String),
    /// `USER` names a group that `/etc/group` does not know.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoSuchGroup(String),
    /// The user's or group's number is not one.
    #[error("uids and gids must be in range 0-2147483647")]
    IdOutOfRange,
    /// `/etc/passwd` or `/etc/group` is no file that may be read.
    #[error("Refused to read `{path}` of the root filesystem: {reason}")]
    AccountFile {
        /// Which.
        path: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The working directory cannot be entered.
    #[error("Failed to enter the working directory `{cwd}`")]
    Cwd {
        /// As given.
        cwd: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// More layers than overlay takes; merge the lowest ones.
    #[error("The root filesystem has {layers} layers, and overlay takes {limit}")]
    TooDeep {
        /// How many there are.
        layers: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The root filesystem could not be mounted.
    #[error("Failed to mount the root filesystem ({what})")]
    Rootfs {
        /// Which call, on what.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A mount that was asked for, or that every sandbox has.
    #[error("Failed to mount `{target}`: {what}")]
    Mount {
        /// Inside the root.
        target: String,
        /// Which part of it failed.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The mount's target cannot be used as one.
    #[error("Refused to mount on `{target}`: {reason}")]
    MountTarget {
        /// As given.
        target: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A user needs an ID that is not mapped in this user namespace.
    #[error("User or group {id} is not mapped in this user namespace")]
    NotMapped {
        /// Which.
        id: u32,
    },
    /// A limit was asked for that cannot be set here.
    #[error("Failed to limit {what}")]
    Limit {
        /// Which.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The child failed at a step before its program.
    #[error("Failed to {step} for the sandbox")]
    Child {
        /// Which step.
        step: Step,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Something of the host was refused before there was a child.
    #[error("Failed to {what}")]
    Setup {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl SpawnError {
    /// The exit code that `docker run` would end with: 127, 126, else 125.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound { .. } | Self::NoInterpreter { .. } => 127,
            Self::NotExecutable { .. } | Self::OutsideRoot { .. } => 126,
            _ => 125,
        }
    }
}

/// Why a user namespace could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This process already is such a re-execution.
    #[error("Refused to enter a user namespace from within the one made for it")]
    Nested,
    /// The kernel or a security module does not let this user make one.
    #[error("Failed to make a user namespace")]
    Refused {
        /// Why.
        #[source]
        cause: io::Error,
        /// What to change on this host.
        hint: String,
    },
    /// The id maps could not be written.
    #[error("Failed to map user and group IDs ({what})")]
    Map {
        /// Which file or tool.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A call that has no reason to fail.
    #[error("Failed to {what}")]
    Setup {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Why there is no private network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// This host offers no way; the caller may take the host's network and say so.
    #[error("No private network can be made here: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// All addresses of the pool are taken.
    #[error("All addresses of `{subnet}` are in use")]
    PoolFull {
        /// Which pool.
        subnet: String,
    },
    /// No pool is free of the host's routes.
    #[error("Every address pool overlaps a route of this host")]
    NoPool,
    /// A step of the setup failed.
    #[error("Failed to {what}")]
    Setup {
        /// What, with the object's name.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A tool failed.
    #[error("`{tool}` failed: {output}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What it said.
        output: String,
    },
}

/// Why something was not found out about the host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The trial itself could not be made.
    #[error("Failed to try {what} in `{directory}`")]
    Trial {
        /// What.
        what: &'static str,
        /// Where.
        directory: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}
