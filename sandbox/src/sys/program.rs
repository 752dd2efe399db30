//! What a child does between `clone` and `exec`: a straight line, prepared in full by the parent.
//!
//! Nothing here allocates, locks or panics: the child shares the parent's memory, and other
//! threads of the parent may hold any lock. Everything is borrowed from [`Program`], which the
//! suspended parent keeps alive; descriptors are numbers whose owners the parent keeps too.
//!
//! Where it ended crosses in [`Outcome`], in the shared memory: which step, which item, `errno`.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{self, Resource, Rlimit, Signal};
use rustix::thread::{self, CapabilitySet, CapabilitySets};

use super::clone::ChildProgram;
use super::raw::{self, MountAttributes, lend};
use crate::error::Step;
use crate::seccomp::Instruction;

/// Everything a child needs, prepared. Descriptors are close-on-exec and above 2.
pub(crate) struct Program {
    /// `cgroup.procs` files to write to.
    pub(crate) cgroups: Vec<RawFd>,
    /// A network namespace to join; else the one that `clone` made, whose `lo` is raised.
    pub(crate) network: Joining,
    /// A detached tmpfs with generated files, to clone mounts from.
    pub(crate) files: RawFd,
    /// The detached root filesystem.
    pub(crate) root: RawFd,
    /// In the order of their carrying out.
    pub(crate) mounts: Vec<MountOp>,
    /// Host name; empty leaves it.
    pub(crate) hostname: Vec<u8>,
    /// What becomes 0, 1 and 2.
    pub(crate) stdio: [RawFd; 3],
    /// Whether 0 becomes the controlling terminal.
    pub(crate) terminal: bool,
    /// Refused ones are skipped.
    pub(crate) rlimits: Vec<(Resource, Rlimit)>,
    /// Capabilities to keep and to have, and how many the kernel knows. `None` keeps all.
    pub(crate) capabilities: Option<(CapabilitySet, u32)>,
    /// Working directory, inside the new root.
    pub(crate) cwd: CString,
    /// The filter to load.
    pub(crate) seccomp: Option<std::sync::Arc<[Instruction]>>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub(crate) no_new_privs: bool,
    /// User, group, supplementary groups (`None`: this user namespace cannot set them).
    pub(crate) uid: process::Uid,
    pub(crate) gid: process::Gid,
    pub(crate) groups: Option<Vec<process::Gid>>,
    /// A pidfd of the parent, if the child is to die with it.
    pub(crate) parent: Option<RawFd>,
    /// What to execute: tried in this order.
    pub(crate) candidates: Vec<CString>,
    /// Arguments and environment.
    pub(crate) strings: Strings,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// Which network namespace the child is to be in.
#[derive(Clone, Copy)]
pub(crate) enum Joining {
    /// The one that `clone` made.
    Own,
    /// This one.
    Prepared(RawFd),
    /// The parent's.
    Parents,
}

/// One mount. `item` numbers are indexes into the parent's list of targets.
pub(crate) enum MountOp {
    /// A detached mount goes to an open target.
    Attach { mount: RawFd, target: RawFd },
    /// A copy of what `name` is below `base` (a filesystem attached before) goes to an open target.
    Copy { base: RawFd, name: CString, target: RawFd, attributes: u64 },
    /// A filesystem that belongs to the child's own namespaces.
    Own(OwnFilesystem),
}

/// `proc`, `sysfs`, `mqueue` or `cgroup2`, and what of it is hidden.
pub(crate) struct OwnFilesystem {
    pub(crate) kind: &'static CStr,
    pub(crate) attributes: MountAttrFlags,
    pub(crate) target: RawFd,
    /// Paths to cover by an empty directory or by `/dev/null`, as what is there asks for.
    pub(crate) masked: Vec<CString>,
    /// Paths to make read-only.
    pub(crate) read_only: Vec<CString>,
    /// A filesystem to mount at a path inside it, if the kernel lets us.
    pub(crate) inner: Option<(&'static CStr, &'static CStr)>,
    /// Whether to go on without it if the kernel refuses it.
    pub(crate) optional: bool,
}

/// Names in the tmpfs of generated files that masks are cloned from.
pub(crate) const EMPTY_DIRECTORY: &CStr = c"empty";
/// `/dev/null` of the host, verified and mounted there by the parent's list.
pub(crate) const NULL_DEVICE: &CStr = c"null";

/// `argv` and `envp` as `execve` wants them, with the strings they point to.
pub(crate) struct Strings {
    _owned: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
}

// SAFETY: the pointers lead into `_owned`, which is never changed after construction, so sharing
// or moving them to another thread is as fine as sharing or moving the strings.
unsafe impl Sync for Strings {}
// SAFETY: as above; the heap memory of a `CString` does not move with it.
unsafe impl Send for Strings {}

impl Strings {
    /// Lays both out.
    pub(crate) fn new(argv: Vec<CString>, env: Vec<CString>) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let (argv_pointers, envp) = (pointers(&argv), pointers(&env));
        Self { _owned: argv.into_iter().chain(env).collect(), argv: argv_pointers, envp }
    }

    /// Executes `path`; returns only to fail.
    pub(crate) fn execute(&self, path: &CStr) -> io::Error {
        // SAFETY: both arrays end with a null pointer and point to strings owned by `self`.
        unsafe { raw::execve(path, self.argv.as_ptr(), self.envp.as_ptr()) }
    }
}

/// How the child ended, written by it into the parent's memory.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    step: AtomicU32,
    item: AtomicU32,
    errno: AtomicI32,
}

impl Outcome {
    /// What went wrong, if the child reported something.
    pub(crate) fn failure(&self) -> Option<(Step, usize, io::Error)> {
        let step = Step::from_number(self.step.load(Ordering::Acquire))?;
        let item = self.item.load(Ordering::Acquire) as usize;
        Some((step, item, io::Error::from_raw_os_error(self.errno.load(Ordering::Acquire))))
    }
}

struct Failure {
    step: Step,
    item: usize,
    errno: i32,
}

/// Names the step that a call belongs to.
trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
    fn at_item(self, step: Step, item: usize) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.at_item(step, 0)
    }

    fn at_item(self, step: Step, item: usize) -> Result<T, Failure> {
        // An `io::Error` of a raw number holds no heap memory.
        self.map_err(|error| Failure {
            step,
            item,
            errno: error.into().raw_os_error().unwrap_or(0),
        })
    }
}

impl ChildProgram for Program {
    fn run(&self) {
        let Err(Failure { step, item, errno }) = self.carry_out();
        self.outcome.item.store(item as u32, Ordering::Release);
        self.outcome.errno.store(errno, Ordering::Release);
        self.outcome.step.store(step as u32, Ordering::Release);
    }
}

impl Program {
    fn carry_out(&self) -> Result<std::convert::Infallible, Failure> {
        if self.parent.is_some() {
            process::set_parent_process_death_signal(Some(Signal::KILL)).at(Step::DeathSignal)?;
        }
        self.join()?;
        self.mount()?;
        self.settle()?;
        self.drop_privileges()?;
        self.execute()
    }

    /// Control groups first, so that the new cgroup namespace has them as its root.
    fn join(&self) -> Result<(), Failure> {
        for &procs in &self.cgroups {
            rustix::io::write(lend(procs), b"0").at(Step::JoinCgroup)?;
        }
        match raw::unshare(libc::CLONE_NEWCGROUP) {
            // Kernels without cgroups have no such namespaces.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            other => other.at(Step::CgroupNamespace)?,
        }
        match self.network {
            Joining::Own => raw::raise_loopback().at(Step::RaiseLoopback),
            Joining::Prepared(namespace) => thread::move_into_link_name_space(
                lend(namespace),
                Some(thread::LinkNameSpaceType::Network),
            )
            .at(Step::JoinNetwork),
            Joining::Parents => Ok(()),
        }
    }

    /// Everything is attached over the old `/`, which then goes away as a whole.
    fn mount(&self) -> Result<(), Failure> {
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .at(Step::PrivateMounts)?;
        let (files, root) = (lend(self.files), lend(self.root));
        let onto_root = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(files, c"", CWD, c"/", onto_root).at(Step::AttachFiles)?;
        move_mount(root, c"", CWD, c"/", onto_root).at(Step::AttachRoot)?;
        for (item, op) in self.mounts.iter().enumerate() {
            match op {
                MountOp::Attach { mount, target } => attach(lend(*mount), lend(*target)),
                MountOp::Copy { base, name, target, attributes } => {
                    copy(lend(*base), name, lend(*target), *attributes)
                }
                MountOp::Own(own) => match own.mount(files) {
                    Err(_) if own.optional => Ok(()),
                    other => other,
                },
            }
            .at_item(Step::Mount, item)?;
        }
        process::fchdir(root).at(Step::PivotRoot)?;
        process::pivot_root(c".", c".").at(Step::PivotRoot)?;
        // The old root now lies on top of the new one, and generated files on top of the old one:
        // two mounts have to go, the uppermost first. The second takes all of the host along.
        unmount(c".", UnmountFlags::DETACH).at(Step::LeaveOldRoot)?;
        unmount(c".", UnmountFlags::DETACH).at(Step::LeaveOldRoot)?;
        process::chdir(c"/").at(Step::LeaveOldRoot)
    }

    /// What needs privileges but no longer the host's files.
    fn settle(&self) -> Result<(), Failure> {
        if !self.hostname.is_empty() {
            rustix::system::sethostname(&self.hostname).at(Step::Hostname)?;
        }
        // Kernels without keys, and users over their quota, go on with what they have: the
        // filter refuses `keyctl`, and `/proc/keys` is masked.
        let _ = raw::join_new_session_keyring();
        process::setsid().at(Step::Session)?;
        for (to, &from) in self.stdio.iter().enumerate() {
            // SAFETY: the descriptor table is this child's own copy, and the child uses none of
            // 0 to 2 except through `stdio`, whose numbers are above 2.
            unsafe { raw::dup_onto(from, to as RawFd) }.at(Step::Stdio)?;
        }
        if self.terminal {
            process::ioctl_tiocsctty(lend(0)).at(Step::Terminal)?;
        }
        for (resource, limit) in &self.rlimits {
            // Refused without CAP_SYS_RESOURCE; the step is then as limited as gantry is.
            let _ = process::setrlimit(*resource, *limit);
        }
        // Magic links are the way out: `/proc/self/fd/7` may be a directory of the host.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cwd = openat2(CWD, &*self.cwd, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .at(Step::Cwd)?;
        process::fchdir(&cwd).at(Step::Cwd)?;
        forget(cwd);
        self.check_candidates()?;
        process::umask(Mode::from_raw_mode(0o022));
        Ok(())
    }

    fn drop_privileges(&self) -> Result<(), Failure> {
        if let Some((keep, last)) = self.capabilities {
            for number in 0..=last {
                let capability = CapabilitySet::from_bits_retain(1 << number);
                if !keep.contains(capability) {
                    thread::remove_capability_from_bounding_set(capability)
                        .at(Step::Capabilities)?;
                }
            }
            // EINVAL: a kernel before ambient capabilities.
            let _ = thread::clear_ambient_capability_set();
        }
        if self.no_new_privs {
            thread::set_no_new_privs(true).at(Step::Seccomp)?;
        }
        // While there is CAP_SYS_ADMIN, which loading asks for without no_new_privs.
        if let Some(filter) = &self.seccomp {
            raw::load_seccomp(filter).at(Step::Seccomp)?;
        }
        if let Some(groups) = &self.groups {
            thread::set_thread_groups(groups).at(Step::Groups)?;
        }
        thread::set_thread_res_gid(self.gid, self.gid, self.gid).at(Step::Gid)?;
        thread::set_thread_res_uid(self.uid, self.uid, self.uid).at(Step::Uid)?;
        if let Some((keep, _)) = self.capabilities {
            let none = CapabilitySet::empty();
            let have = if self.uid.is_root() { keep } else { none };
            let sets = CapabilitySets { effective: have, permitted: have, inheritable: none };
            thread::set_capabilities(None, sets).at(Step::Capabilities)?;
        }
        if let Some(parent) = self.parent {
            // Changing IDs has cleared it. If the parent died in between, nobody tells us.
            process::set_parent_process_death_signal(Some(Signal::KILL)).at(Step::DeathSignal)?;
            if has_ended(lend(parent)) {
                raw::exit_now(1);
            }
        }
        Ok(())
    }

    /// Refuses a program that only a magic link leads to: `/proc/self/exe` is gantry itself here
    /// (CVE-2019-5736), and so it is as the interpreter of a script.
    fn check_candidates(&self) -> Result<(), Failure> {
        let mut found = false;
        for (item, path) in self.candidates.iter().enumerate() {
            match follow_interpreters(path) {
                Ok(()) => found = true,
                Err(errno) if errno == rustix::io::Errno::LOOP => {
                    return Err(errno).at_item(Step::CheckProgram, item);
                }
                Err(_) => {}
            }
        }
        if found { Ok(()) } else { Err(rustix::io::Errno::NOENT).at(Step::FindProgram) }
    }

    fn execute(&self) -> Result<std::convert::Infallible, Failure> {
        raw::reset_signals();
        // SAFETY: the table is this child's own copy; nothing below uses a descriptor above 2.
        unsafe { raw::close_from(3) }.at(Step::CloseFiles)?;
        let mut refused = None;
        for path in &self.candidates {
            let error = self.strings.execute(path);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => refused = Some(error),
                _ => return Err(error).at(Step::Execute),
            }
        }
        Err(refused.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))).at(Step::Execute)
    }
}

impl OwnFilesystem {
    /// Masks and protects the filesystem through its own descriptor, so that whatever lies at
    /// the target's path cannot stand in for it (CVE-2025-31133, CVE-2025-52881).
    fn mount(&self, files: BorrowedFd<'_>) -> io::Result<()> {
        let mount = new_filesystem(self.kind, self.attributes)?;
        attach(as_lent(&mount), lend(self.target))?;
        if let Some((path, kind)) = self.inner
            && let Some(target) = below(&mount, path)?
        {
            if let Ok(inner) = new_filesystem(kind, self.attributes) {
                attach(as_lent(&inner), as_lent(&target))?;
                forget(inner);
            }
            forget(target);
        }
        for path in &self.masked {
            let Some(target) = below(&mount, path)? else { continue };
            let directory = is_directory(&target)?;
            let name = if directory { EMPTY_DIRECTORY } else { NULL_DEVICE };
            let attributes = if directory { libc::MOUNT_ATTR_RDONLY } else { 0 };
            copy(files, name, as_lent(&target), attributes)?;
            forget(target);
        }
        for path in &self.read_only {
            let Some(target) = below(&mount, path)? else { continue };
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH
                | OpenTreeFlags::AT_RECURSIVE;
            let copy = open_tree(&target, c"", flags)?;
            let read_only = MountAttributes::private(libc::MOUNT_ATTR_RDONLY);
            raw::mount_setattr(as_lent(&copy), true, read_only)?;
            attach(as_lent(&copy), as_lent(&target))?;
            forget(copy);
            forget(target);
        }
        forget(mount);
        Ok(())
    }
}

fn new_filesystem(kind: &CStr, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", kind)?;
    if attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY) {
        fsconfig_set_flag(&context, c"ro")?;
    }
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    forget(context);
    Ok(mount)
}

/// Leaves a descriptor to `close_from`: it need not be closed one by one.
fn forget(fd: OwnedFd) {
    std::mem::forget(fd);
}

fn as_lent(fd: &OwnedFd) -> BorrowedFd<'_> {
    use rustix::fd::AsFd;
    debug_assert!(fd.as_raw_fd() > 2, "0 to 2 are never free here");
    fd.as_fd()
}

fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

/// Attaches a copy of what `name` is below `base`, an attached filesystem.
fn copy(
    base: BorrowedFd<'_>,
    name: &CStr,
    target: BorrowedFd<'_>,
    attributes: u64,
) -> io::Result<()> {
    let copy =
        open_tree(base, name, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    if attributes != 0 {
        raw::mount_setattr(as_lent(&copy), false, MountAttributes::private(attributes))?;
    }
    attach(as_lent(&copy), target)?;
    forget(copy);
    Ok(())
}

/// Opens a path of a filesystem that was just made; `None` if there is none.
fn below(mount: &OwnedFd, path: &CStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(mount, path, flags, Mode::empty(), resolve) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn is_directory(fd: &OwnedFd) -> io::Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// Whether the process of a pidfd has ended. Waits for nothing.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(1..))
}

/// Opens a program without magic links, and so the interpreters that `#!` lines name.
fn follow_interpreters(path: &CStr) -> Result<(), rustix::io::Errno> {
    /// As deep as the kernel follows, and one more.
    const DEPTH: usize = 6;
    let mut line = [0_u8; 258];
    let mut name_at = None;
    for _ in 0..DEPTH {
        let path = match name_at {
            None => path,
            Some(start) => {
                CStr::from_bytes_until_nul(&line[start..]).map_err(|_| rustix::io::Errno::NOEXEC)?
            }
        };
        let resolve = ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = match openat2(CWD, path, flags, Mode::empty(), resolve) {
            Ok(file) => file,
            // The program is there; that its interpreter is not is for `execve` to say.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) if name_at.is_some() => {
                return Ok(());
            }
            Err(errno) => return Err(errno),
        };
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        forget(file);
        if !kind.is_file() {
            return Ok(()); // `execve` says what is wrong with it.
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(file) = openat2(CWD, path, flags, Mode::empty(), resolve) else {
            return Ok(()); // Not readable even for root of this namespace.
        };
        line = [0; 258];
        let length = rustix::io::read(&file, &mut line[..257]).unwrap_or(0);
        forget(file);
        match interpreter(&mut line, length) {
            Some(start) => name_at = Some(start),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Finds the interpreter in a first line, ends it with a NUL, and returns where it begins.
fn interpreter(line: &mut [u8], length: usize) -> Option<usize> {
    if !line.starts_with(b"#!") {
        return None;
    }
    let blank = |byte: u8| byte == b' ' || byte == b'\t';
    let start = (2..length).find(|&at| !blank(line[at]))?;
    let end = (start..length)
        .find(|&at| blank(line[at]) || line[at] == b'\n' || line[at] == 0)
        .unwrap_or(length);
    line[end] = 0;
    (end > start).then_some(start)
}
