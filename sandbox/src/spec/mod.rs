//! What to run, and in what: the [`Spec`] handed to [`spawn`](crate::spawn()).
//!
//! Plain data: nothing here is checked against the machine before `spawn`.

mod limits;
mod mount;
mod rootfs;

use std::ffi::OsString;
use std::net::IpAddr;

pub use limits::{Limits, Resource, Rlimit};
pub use mount::{Bind, BindSource, FileMount, Mount, Tmpfs};
pub use rootfs::{Lower, RootfsSpec};

use crate::{Capabilities, Network};

/// One process to run as PID 1 of new namespaces.
///
/// [`Spec::new`] fills in what Docker would: 14 capabilities, the seccomp filter, no network,
/// hostname `localhost`, user root, working directory `/`, 64 MiB of `/dev/shm`.
#[derive(Debug)]
pub struct Spec {
    /// What becomes `/`.
    pub rootfs: RootfsSpec,
    /// Program and arguments. A program without `/` is searched in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment, as `NAME=value`; nothing is inherited.
    pub env: Vec<OsString>,
    /// Working directory inside the root; made (owned by root) where missing.
    pub cwd: String,
    /// Who runs it, as known to the root filesystem's own `/etc/passwd`.
    pub user: UserSpec,
    /// The host name, also in `/etc/hostname` and `/etc/hosts`.
    pub hostname: String,
    /// Further mounts, in any order: they are carried out from the outermost to the innermost.
    pub mounts: Vec<Mount>,
    /// What of the network it sees.
    pub network: Network,
    /// With or without the walls.
    pub security: Security,
    /// The capabilities it may ever have. Ignored with [`Security::Insecure`]: all of them.
    pub capabilities: Capabilities,
    /// `PR_SET_NO_NEW_PRIVS`. Off by default, as in Docker: `sudo` and `su` work in a RUN step.
    pub no_new_privs: bool,
    /// Kernel-enforced limits; a cgroup is made and joined only if there are any.
    pub limits: Limits,
    /// `setrlimit` before the start. A limit that the kernel refuses to raise is left alone.
    pub rlimits: Vec<Rlimit>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// Where file descriptors 0, 1 and 2 lead.
    pub stdio: Stdio,
    /// Further lines of `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Name servers instead of the host's; empty means the host's without its loopback ones.
    pub dns: Vec<IpAddr>,
    /// `search` domains instead of the host's.
    pub dns_search: Vec<String>,
    /// `options` instead of the host's.
    pub dns_options: Vec<String>,
    /// Writes `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` (as mounts over those files).
    pub network_files: bool,
    /// Ends the child with this process, however that ends. On by default: for builds and
    /// foreground runs nothing may outlive gantry. One gap is the kernel's: if PID 1 itself is a
    /// set-user-ID program run by an ordinary user, a `kill -9` of gantry does not end it.
    pub die_with_parent: bool,
}

impl Spec {
    /// Returns a spec with Docker's defaults.
    pub fn new(rootfs: RootfsSpec, argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            rootfs,
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: UserSpec::Root,
            hostname: "localhost".to_owned(),
            mounts: Vec::new(),
            network: Network::None,
            security: Security::Sandbox,
            capabilities: Capabilities::DEFAULT,
            no_new_privs: false,
            limits: Limits::default(),
            rlimits: Vec::new(),
            shm_size: 64 << 20,
            stdio: Stdio::Piped { stdin: false },
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            network_files: true,
            die_with_parent: true,
        }
    }
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSpec {
    /// 0:0, without looking at any file.
    Root,
    /// `user[:group]`, names or numbers, as `USER` and `--user` take them; looked up in the root
    /// filesystem's `/etc/passwd` and `/etc/group`. With a group given there are no supplementary
    /// groups; a number without an entry gets group 0. The empty text is root.
    Text(String),
    /// Exactly these.
    Ids {
        /// User ID.
        uid: u32,
        /// Group ID.
        gid: u32,
        /// Supplementary groups.
        groups: Vec<u32>,
    },
}

/// How strongly the process is walled off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Seccomp filter, few capabilities, masked and read-only paths.
    #[default]
    Sandbox,
    /// None of these (`--security=insecure`, `--privileged`): still in namespaces of its own.
    Insecure,
}

/// Where standard input, output and error lead.
#[derive(Debug)]
pub enum Stdio {
    /// Output and error are pipes, read with [`Child::take_stdout`](crate::Child::take_stdout);
    /// input is one too if `stdin`, else `/dev/null`.
    Piped {
        /// Whether input is a pipe to write to.
        stdin: bool,
    },
    /// The caller's own.
    Inherit,
    /// A new terminal of the sandbox, whose other end is
    /// [`Child::take_terminal`](crate::Child::take_terminal).
    Terminal(WindowSize),
    /// Three descriptors, given away: 0, 1 and 2.
    Files([std::os::fd::OwnedFd; 3]),
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// A further line of `/etc/hosts` (`--add-host`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address; `None` is `host-gateway`: the host's as seen from inside. Where no way leads
    /// there, the name is left out.
    pub address: Option<IpAddr>,
}
