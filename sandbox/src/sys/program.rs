//! What a child does between `clone` and `exec`: a straight line, prepared in full by the parent.
//!
//! Nothing here allocates, locks or panics: the child shares the parent's memory, and other
//! threads of the parent may hold any lock. Everything is borrowed from [`Program`], which the
//! suspended parent keeps alive; descriptors are numbers whose owners the parent keeps too.
//!
//! Where it ended crosses in [`Outcome`], in the shared memory: which step, which item, `errno`.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use rustix::process::{self, Gid, Resource, Rlimit, Signal, Uid};
use rustix::thread::{self, CapabilitySet, CapabilitySets};

use super::clone::ChildProgram;
use super::executable::follow_interpreters;
use super::mounting::{MountOp, forget};
use super::outcome::{At, Failure, Outcome};
use super::raw::{self, lend};
use super::strings::Strings;
use crate::error::Step;
use crate::seccomp::Instruction;

/// Everything a child needs, prepared. Descriptors are close-on-exec and above 2.
pub(crate) struct Program {
    /// `cgroup.procs` files to write to.
    pub(crate) cgroups: Vec<RawFd>,
    /// Whether `clone` made a network namespace, whose `lo` is to be raised.
    pub(crate) own_network: bool,
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
    pub(crate) seccomp: Option<Arc<[Instruction]>>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub(crate) no_new_privs: bool,
    /// User, group, supplementary groups (`None`: this user namespace cannot set them).
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Option<Vec<Gid>>,
    /// A pidfd of the parent, if the child is to die with it.
    pub(crate) parent: Option<RawFd>,
    /// What to execute: tried in this order.
    pub(crate) candidates: Vec<CString>,
    /// Arguments and environment.
    pub(crate) strings: Strings,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

impl ChildProgram for Program {
    fn run(&self) {
        let Err(failure) = self.carry_out();
        self.outcome.report(&failure);
    }
}

impl Program {
    fn carry_out(&self) -> Result<Infallible, Failure> {
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
        if self.own_network { raw::raise_loopback().at(Step::RaiseLoopback) } else { Ok(()) }
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
            op.carry_out(files).at_item(Step::Mount, item)?;
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
        // Magic links are the way out: `/proc/self/fd/7` may be a directory of the host.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cwd = openat2(CWD, &*self.cwd, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .at(Step::Cwd)?;
        process::fchdir(&cwd).at(Step::Cwd)?;
        forget(cwd);
        self.check_candidates()?;
        // Last: until `close_from` the child has gantry's descriptors, and with a small limit it
        // could open no more.
        for (resource, limit) in &self.rlimits {
            // Refused without CAP_SYS_RESOURCE; the step is then as limited as gantry is.
            let _ = process::setrlimit(*resource, *limit);
        }
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
            if raw::has_ended(lend(parent)) {
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

    fn execute(&self) -> Result<Infallible, Failure> {
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
