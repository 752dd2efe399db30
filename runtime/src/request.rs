//! What to run, as plain values: no terminal, no environment, no current directory.

use std::path::PathBuf;

use gantry_image::Platform;
use gantry_sandbox::{ExtraHost, Limits, Rlimit, WindowSize};

/// Everything that a new container is made from.
///
/// Start from [`RunRequest::new`] and set what differs.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// What the user calls the image.
    pub image: String,
    /// Which of the images is meant that the name of an index stands for; `None`: the host's.
    pub platform: Option<Platform>,
    /// What stands behind the image on the command line: replaces CMD.
    pub command: Vec<String>,
    /// `--entrypoint`.
    pub entrypoint: Entrypoint,
    /// `--name`; a random one if absent.
    pub name: Option<String>,
    /// `-e` and `--env-file`, in order, as `NAME=value`; these win over the image's.
    pub env: Vec<String>,
    /// `-v`.
    pub binds: Vec<BindMount>,
    /// `--tmpfs`: where.
    pub tmpfs: Vec<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`.
    pub user: Option<String>,
    /// `-h`; the short ID if absent.
    pub hostname: Option<String>,
    /// `--network`.
    pub network: NetworkMode,
    /// `--add-host`.
    pub extra_hosts: Vec<ExtraHost>,
    /// `--dns`.
    pub dns: Vec<std::net::IpAddr>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// `--memory`, `--cpu-shares` and the like.
    pub limits: Limits,
    /// `--ulimit`.
    pub rlimits: Vec<Rlimit>,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
    /// Where the process's input and output lead.
    pub streams: Streams,
    /// `--rm`: nothing is left of it.
    pub remove: bool,
}

impl RunRequest {
    /// An image as it wants to be run, with nothing on its input.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            platform: None,
            command: Vec::new(),
            entrypoint: Entrypoint::Image,
            name: None,
            env: Vec::new(),
            binds: Vec::new(),
            tmpfs: Vec::new(),
            workdir: None,
            user: None,
            hostname: None,
            network: NetworkMode::Bridge,
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            read_only: false,
            privileged: false,
            limits: Limits::default(),
            rlimits: Vec::new(),
            shm_size: None,
            streams: Streams::Pipes { stdin: false },
            remove: false,
        }
    }
}

/// What stands before the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrypoint {
    /// The image's ENTRYPOINT.
    Image,
    /// Nothing, and the image's CMD doesn't count either (`--entrypoint ""`).
    Cleared,
    /// This program; the image's CMD doesn't count.
    Program(String),
}

/// Where the process's input and output lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// Pipes to the caller. The host's terminal is never handed in: a process that has it could
    /// type commands into it.
    Pipes {
        /// With an input (`-i`), else it is empty.
        stdin: bool,
    },
    /// A terminal of its own (`-t`).
    Terminal {
        /// Its size at the start.
        size: WindowSize,
        /// With an input (`-i`).
        stdin: bool,
    },
}

/// A directory or file of the host, seen inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// On the host.
    pub source: PathBuf,
    /// Inside.
    pub target: PathBuf,
    /// Writes fail with `EROFS`.
    pub read_only: bool,
    /// Makes the source a directory where it is missing, as `-v` does and `--mount` doesn't.
    pub create: bool,
}

/// What of the network it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkMode {
    /// A network of its own with a way out; the host's, with a warning, where none can be made.
    #[default]
    Bridge,
    /// The host's.
    Host,
    /// Nothing but `lo`.
    None,
}
