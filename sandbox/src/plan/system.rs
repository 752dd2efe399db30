//! `/proc`, `/sys` and `/dev/mqueue`: filesystems of the child's own namespaces, and Docker's
//! lists of what in them is hidden or read-only.

use std::ffi::CString;
use std::os::fd::RawFd;

use rustix::mount::MountAttrFlags;

use crate::sys::mounting::{Inner, OwnFilesystem};

const MASKED_PROC: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];
const READ_ONLY_PROC: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
const MASKED_SYS: [&str; 2] = ["firmware", "devices/virtual/powercap"];

const WALLED: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// `/proc`, masked if `sandboxed`.
pub(crate) fn proc(target: RawFd, sandboxed: bool) -> OwnFilesystem {
    let lists: (&[&str], &[&str]) =
        if sandboxed { (&MASKED_PROC, &READ_ONLY_PROC) } else { (&[], &[]) };
    OwnFilesystem {
        kind: c"proc",
        attributes: WALLED,
        target,
        masked: c_strings(lists.0),
        read_only: c_strings(lists.1),
        inner: None,
        optional: false,
    }
}

/// `/sys`, read-only if `sandboxed`, with `cgroup` in the place of the cgroup tree, or with the
/// child's own group where the tree is the unified one.
pub(crate) fn sys(target: RawFd, sandboxed: bool, cgroup: Option<RawFd>) -> OwnFilesystem {
    let is_unified = || fs_err::symlink_metadata("/sys/fs/cgroup/cgroup.controllers").is_ok();
    let inner = match cgroup {
        Some(mount) => Some(Inner::Attach(mount)),
        None => is_unified().then_some(Inner::Own(c"cgroup2")),
    };
    OwnFilesystem {
        kind: c"sysfs",
        attributes: read_only_if(sandboxed),
        target,
        masked: if sandboxed { masked_sys() } else { Vec::new() },
        read_only: Vec::new(),
        inner: inner.map(|inner| (c"fs/cgroup", inner)),
        optional: false,
    }
}

/// POSIX message queues, which a kernel may lack.
pub(crate) fn message_queues(target: RawFd) -> OwnFilesystem {
    OwnFilesystem {
        kind: c"mqueue",
        attributes: WALLED,
        target,
        masked: Vec::new(),
        read_only: Vec::new(),
        inner: None,
        optional: true,
    }
}

/// Flags of `/sys`.
pub(crate) fn read_only_if(sandboxed: bool) -> MountAttrFlags {
    if sandboxed { WALLED | MountAttrFlags::MOUNT_ATTR_RDONLY } else { WALLED }
}

fn masked_sys() -> Vec<CString> {
    let mut masked = c_strings(&MASKED_SYS);
    let throttle = |n: usize| format!("devices/system/cpu/cpu{n}/thermal_throttle");
    let processors = (0..4096).map(throttle);
    let there = |path: &String| fs_err::symlink_metadata(format!("/sys/{path}")).is_ok();
    masked.extend(processors.take_while(there).filter_map(|path| CString::new(path).ok()));
    masked
}

/// All of them: the child looks into its own filesystem which are there.
fn c_strings(paths: &[&str]) -> Vec<CString> {
    paths.iter().filter_map(|path| CString::new(*path).ok()).collect()
}
