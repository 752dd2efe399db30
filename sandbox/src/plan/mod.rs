//! Everything that a child will do, prepared in the parent against detached mounts.
//!
//! - [`root`]: the root filesystem; [`index`]: layers in it that were not unpacked; [`place`], [`stubs`]: mount points in it; [`detached`]: other mounts
//! - [`user`], [`command`], [`hosts`]: what the spec says in words
//! - [`standard`], with [`dev`], [`system`], [`cgroups`], [`files`] and [`stdio`]: what every sandbox has
//! - [`mounts`]: what was asked for

mod cgroups;
pub(crate) mod command;
pub(crate) mod detached;
mod dev;
mod files;
mod hosts;
pub(crate) mod index;
mod mounts;
pub(crate) mod place;
pub(crate) mod root;
mod standard;
pub(crate) mod stdio;
mod stubs;
mod system;
pub(crate) mod user;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use gantry_tree::Root;
use rustix::process::{Gid, Resource as R, Rlimit as Limit, Uid};

use crate::cgroup::Cgroup;
use crate::seccomp;
use crate::sys::mounting::MountOp;
use crate::sys::outcome::Outcome;
use crate::sys::program::Program;
use crate::sys::raw::{self, MountAttributes};
use crate::sys::strings::Strings;
use crate::userns::ids;
use crate::{Capabilities, Network, Resource, Rlimit, Security, SpawnError, Spec};
use command::Command;
use place::Places;
use stdio::Ends;

/// A prepared child, and all that must outlive it.
pub(crate) struct Plan {
    pub(crate) program: Program,
    /// `CLONE_NEW*`.
    pub(crate) namespaces: i32,
    pub(crate) places: Places,
    pub(crate) ends: Ends,
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) network: Network,
    /// What a failure is explained with.
    pub(crate) words: Words,
    /// Open until the child runs its program: `program` refers to them by number.
    pub(crate) fds: Vec<OwnedFd>,
}

/// Names for error messages.
pub(crate) struct Words {
    pub(crate) targets: Vec<String>,
    pub(crate) program: String,
    pub(crate) in_path: bool,
    pub(crate) cwd: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Collects descriptors and mounts as they are prepared.
#[derive(Default)]
struct Prepared {
    fds: Vec<OwnedFd>,
    mounts: Vec<MountOp>,
    targets: Vec<String>,
}

impl Prepared {
    /// Keeps a descriptor open and returns its number.
    fn hold(&mut self, fd: OwnedFd) -> RawFd {
        let number = fd.as_raw_fd();
        self.fds.push(fd);
        number
    }

    fn push(&mut self, target: impl Into<String>, op: MountOp) {
        self.targets.push(target.into());
        self.mounts.push(op);
    }

    fn attach(&mut self, target: impl Into<String>, mount: OwnedFd, at: OwnedFd) {
        let op = MountOp::Attach { mount: self.hold(mount), target: self.hold(at) };
        self.push(target, op);
    }
}

fn setup(what: &'static str) -> impl FnOnce(io::Error) -> SpawnError {
    move |cause| SpawnError::Setup { what, cause }
}

/// Prepares a child. Everything made on the way goes with what is returned, or at once.
pub(crate) fn prepare(spec: Spec) -> Result<Plan, SpawnError> {
    let sandboxed = spec.security == Security::Sandbox;
    let mut prepared = Prepared::default();
    let root_mount = root::mount_root(&spec.rootfs, spec.security)?;
    let root =
        root_mount.try_clone().map(Root::from_fd).map_err(setup("open the root filesystem"))?;
    let account = user::look_up(&root, &spec.user)?;
    let mut places = Places::new(root, spec.rootfs.upper.clone());
    let cgroup = if spec.limits.is_empty() { None } else { Some(Cgroup::new(&spec.limits)?) };
    let shown = cgroup.as_ref().map(Cgroup::shown).unwrap_or_default();

    let mut files = mounts::files(&spec)?;
    let null = dev::host_device("null", 1, 3).map_err(setup("mount `/dev/null`"))?;
    let null_at = files.null().map_err(setup("mount `/dev/null`"))?;
    prepared.attach("/dev/null", null, null_at);

    standard::system_mounts(&spec, sandboxed, shown, &mut places, &mut prepared)?;
    let terminals = standard::devices(&spec, &mut places, &mut prepared)?;
    if spec.network_files {
        mounts::network(&spec, &mut files, &mut places, &mut prepared)?;
    }
    mounts::requested(&spec, &mut files, &mut places, &mut prepared)?;
    keep_working_directory(&mut places, &spec)?;
    if spec.rootfs.read_only {
        make_read_only(&root_mount)?;
    }

    let (stdio, ends) = stdio::prepare(spec.stdio, terminals.as_fd())
        .map_err(setup("open standard input and output"))?;
    if let Some(name) = &stdio.terminal {
        standard::console(name, &terminals, &places, &mut prepared)?;
    }
    if stdio.ours && account.uid != 0 {
        give_to(account.uid, &stdio.fds);
    }
    prepared.hold(terminals);

    let cgroups = match &cgroup {
        Some(cgroup) => cgroup.procs()?.into_iter().map(|fd| prepared.hold(fd)).collect(),
        None => Vec::new(),
    };
    // The thread that clones has entered all others.
    let own_network = matches!(spec.network, Network::None);
    let parent = match spec.die_with_parent {
        true => Some(prepared.hold(this_process()?)),
        false => None,
    };
    let Command { argv, env, candidates, program, in_path } =
        command::prepare(spec.argv, spec.env, &account.home)?;
    let capabilities = if sandboxed { Some(capabilities(spec.capabilities)) } else { None };
    let can_set_groups = ids::can_set_groups();
    let terminal = stdio.terminal.is_some();

    let words = Words {
        targets: prepared.targets,
        program,
        in_path,
        cwd: spec.cwd.clone(),
        uid: account.uid,
        gid: account.gid,
    };
    let program = Program {
        cgroups,
        own_network,
        files: files.as_fd().as_raw_fd(),
        root: root_mount.as_raw_fd(),
        mounts: prepared.mounts,
        hostname: spec.hostname.into_bytes(),
        stdio: stdio.fds.each_ref().map(AsRawFd::as_raw_fd),
        terminal,
        rlimits: spec.rlimits.iter().map(rlimit).collect(),
        capabilities,
        cwd: command::c_string("The working directory", Path::new("/").join(spec.cwd).into())?,
        seccomp: sandboxed.then(|| seccomp::filter(spec.capabilities)),
        no_new_privs: spec.no_new_privs,
        uid: Uid::from_raw(account.uid),
        gid: Gid::from_raw(account.gid),
        groups: can_set_groups.then(|| account.groups.iter().copied().map(Gid::from_raw).collect()),
        parent,
        candidates,
        strings: Strings::new(argv, env),
        outcome: Outcome::default(),
    };
    let mut fds = prepared.fds;
    fds.extend(stdio.fds);
    fds.push(root_mount);
    fds.push(files.into_mount());
    let namespaces = namespaces(own_network);
    Ok(Plan { program, namespaces, places, ends, cgroup, network: spec.network, words, fds })
}

/// Makes the working directory where it is missing.
fn keep_working_directory(places: &mut Places, spec: &Spec) -> Result<(), SpawnError> {
    match places.keep_directory(&Path::new("/").join(&spec.cwd)) {
        // The root itself, or a directory of `/proc`: there already, or an error later.
        Err(SpawnError::MountTarget { .. }) => Ok(()),
        other => other,
    }
}

/// Once all mount points are made.
fn make_read_only(root: &OwnedFd) -> Result<(), SpawnError> {
    let read_only = MountAttributes::private(libc::MOUNT_ATTR_RDONLY);
    raw::mount_setattr(root.as_fd(), false, read_only)
        .map_err(setup("make the root filesystem read-only"))
}

/// Which namespaces the child has for itself, as flags of clone(2).
fn namespaces(own_network: bool) -> libc::c_int {
    let always = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    if own_network { always | libc::CLONE_NEWNET } else { always }
}

/// A handle of this process, whose end is then the child's as well.
fn this_process() -> Result<OwnedFd, SpawnError> {
    use rustix::process::{PidfdFlags, getpid, pidfd_open};
    let opened = pidfd_open(getpid(), PidfdFlags::empty());
    opened.map_err(|errno| setup("open a pidfd of this process")(errno.into()))
}

/// So that the user can open `/dev/stdout` anew. Not of /dev/null, which is the host's.
fn give_to(uid: u32, stdio: &[OwnedFd]) {
    for fd in stdio.iter().filter(|fd| is_pipe_or_terminal(fd)) {
        let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None);
    }
}

fn is_pipe_or_terminal(fd: &OwnedFd) -> bool {
    rustix::termios::isatty(fd)
        || rustix::fs::fstat(fd)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_fifo())
}

/// What of the asked for capabilities can be kept, and the highest that the kernel knows.
fn capabilities(wanted: Capabilities) -> (rustix::thread::CapabilitySet, u32) {
    let last = fs_err::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(40)
        .min(63);
    let wanted = rustix::thread::CapabilitySet::from_bits_retain(wanted.bits());
    let own = rustix::thread::capabilities(None).map_or(wanted, |sets| sets.permitted);
    (wanted & own, last)
}

fn rlimit(limit: &Rlimit) -> (R, Limit) {
    let resource = match limit.resource {
        Resource::Core => R::Core,
        Resource::Cpu => R::Cpu,
        Resource::Data => R::Data,
        Resource::Fsize => R::Fsize,
        Resource::Locks => R::Locks,
        Resource::Memlock => R::Memlock,
        Resource::Msgqueue => R::Msgqueue,
        Resource::Nice => R::Nice,
        Resource::Nofile => R::Nofile,
        Resource::Nproc => R::Nproc,
        Resource::Rss => R::Rss,
        Resource::Rtprio => R::Rtprio,
        Resource::Rttime => R::Rttime,
        Resource::Sigpending => R::Sigpending,
        Resource::Stack => R::Stack,
    };
    let value = |value: u64| (value != u64::MAX).then_some(value);
    (resource, Limit { current: value(limit.soft), maximum: value(limit.hard) })
}
