//! The findings of `gantry info`: each with the knob to turn, where there is one.

use std::path::Path;

use super::{CgroupVersion, Finding, Host, IdMap, Overlay, State};
use crate::userns;

pub(super) fn findings(host: &Host, store: &Path) -> Vec<Finding> {
    vec![
        kernel(),
        privileges(host),
        user_namespaces(host),
        ids(host),
        overlay(host, store),
        index(host, store),
        cgroups(host),
        seccomp(),
        bridge(host),
        pasta(host),
        fuse(),
    ]
}

fn finding(name: &'static str, state: State, detail: impl Into<String>) -> Finding {
    Finding { name, state, detail: detail.into(), fix: None }
}

impl Finding {
    fn fixed_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// `mount_setattr` is the newest call that there is no way around.
fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 8) {
        finding("kernel", State::Ok, release)
    } else if version >= (5, 12) {
        let detail = format!("{release}: layers must fit into one page of mount options");
        finding("kernel", State::Limited, detail).fixed_by("Use Linux 6.8 or newer")
    } else {
        finding("kernel", State::Missing, format!("{release} lacks mount_setattr"))
            .fixed_by("Use Linux 5.12 or newer")
    }
}

fn privileges(host: &Host) -> Finding {
    let detail = match (host.is_root(), host.in_user_namespace(), host.needs_user_namespace()) {
        (true, false, false) => "root",
        (true, true, false) => "root of a user namespace",
        (true, _, true) => "root without CAP_SYS_ADMIN; a user namespace is made for a build",
        (false, _, _) => "an ordinary user; a user namespace is made for a build",
    };
    finding("privileges", State::Ok, detail)
}

fn user_namespaces(host: &Host) -> Finding {
    let name = "user namespaces";
    // By trying, in a child that does nothing else.
    match crate::sys::clone::try_user_namespace() {
        Ok(()) => finding(name, State::Ok, "can be made"),
        Err(error) => {
            let state = if host.needs_user_namespace() { State::Missing } else { State::Limited };
            finding(name, state, error.to_string()).fixed_by(userns::hint(&error))
        }
    }
}

fn ids(host: &Host) -> Finding {
    let name = "user and group IDs";
    if !host.needs_user_namespace() {
        return match host.id_map() {
            IdMap::Full => finding(name, State::Ok, "all"),
            IdMap::SubIds { count } => finding(name, State::Ok, format!("{count} mapped")),
            IdMap::Single => finding(
                name,
                State::Limited,
                "only one is mapped: files can belong to root alone, and USER can only be root",
            )
            .fixed_by("Start gantry outside of this namespace, as a user with subordinate IDs"),
        };
    }
    let uid = rustix::process::geteuid().as_raw();
    let user = userns::user_name(uid);
    let count = |path| -> u64 {
        let ranges = userns::sub_ids(path, uid, user.as_deref());
        ranges.iter().map(|(_, count)| u64::from(*count)).sum()
    };
    let (users, groups) = (count("/etc/subuid"), count("/etc/subgid"));
    let who = user.unwrap_or_else(|| uid.to_string());
    if users == 0 || groups == 0 {
        return finding(name, State::Limited, "no subordinate IDs: one ID only").fixed_by(format!(
            "Run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {who}` as root"
        ));
    }
    match (crate::net::find_program("newuidmap"), crate::net::find_program("newgidmap")) {
        (Some(_), Some(_)) => {
            finding(name, State::Ok, format!("{users} subordinate users, {groups} groups"))
        }
        _ => finding(name, State::Limited, "`newuidmap` or `newgidmap` is not installed")
            .fixed_by("Install `uidmap` (Debian) or `shadow-utils`"),
    }
}

fn overlay(host: &Host, store: &Path) -> Finding {
    match host.overlay(store) {
        Overlay::Available { userxattr: false } => finding("overlay", State::Ok, "works"),
        Overlay::Available { userxattr: true } => {
            finding("overlay", State::Ok, "works with `userxattr`")
        }
        Overlay::Unavailable { reason } if host.needs_user_namespace() => {
            finding("overlay", State::Limited, reason)
        }
        Overlay::Unavailable { reason } => {
            finding("overlay", State::Limited, format!("{reason}; layers are copied instead"))
                .fixed_by(format!(
                    "Keep the store on ext4, XFS, Btrfs or tmpfs, not `{}`",
                    store.display()
                ))
        }
    }
}

fn index(host: &Host, store: &Path) -> Finding {
    let name = "layers without unpacking";
    match host.index(store) {
        Ok(()) => finding(name, State::Ok, "can be mounted from their tars"),
        Err(reason) => finding(name, State::Limited, format!("{reason}; layers are unpacked")),
    }
}

fn cgroups(host: &Host) -> Finding {
    match host.cgroups() {
        CgroupVersion::V1 => finding("cgroups", State::Ok, "version 1"),
        CgroupVersion::V2 => finding("cgroups", State::Ok, "version 2"),
        CgroupVersion::None { reason } => {
            finding("cgroups", State::Limited, format!("no limits can be set: {reason}")).fixed_by(
                "Run gantry as root, or in a delegated scope: `systemd-run --user --scope -p \
                 Delegate=yes gantry …`",
            )
        }
    }
}

fn seccomp() -> Finding {
    let available = fs_err::read_to_string("/proc/sys/kernel/seccomp/actions_avail")
        .is_ok_and(|actions| actions.split_ascii_whitespace().any(|action| action == "errno"));
    if available {
        finding("seccomp", State::Ok, "filters work")
    } else {
        finding("seccomp", State::Missing, "this kernel has no seccomp filters")
            .fixed_by("Use a kernel with CONFIG_SECCOMP_FILTER")
    }
}

fn bridge(host: &Host) -> Finding {
    let name = "bridge and NAT";
    match host.bridge() {
        Ok(()) => finding(name, State::Ok, "can be made"),
        Err(reason) => finding(name, State::Limited, reason),
    }
}

fn pasta(host: &Host) -> Finding {
    match host.pasta() {
        Ok(()) => finding("pasta", State::Ok, "works"),
        Err(reason) => {
            let fix = if crate::net::find_program("pasta").is_none() {
                "Install `passt`"
            } else {
                "Let this user open /dev/net/tun (`chmod 0666 /dev/net/tun`)"
            };
            finding("pasta", State::Limited, reason).fixed_by(fix)
        }
    }
}

fn fuse() -> Finding {
    let access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    match rustix::fs::access("/dev/fuse", access) {
        Ok(()) => finding("fuse", State::Ok, "/dev/fuse can be opened"),
        Err(errno) => finding("fuse", State::Limited, format!("/dev/fuse: {errno}; not needed")),
    }
}
