//! The default seccomp filter: Docker's profile as a compact program.
//!
//! Own assembler rather than a crate: numbers are merged into ranges and searched by halving, so
//! that a call costs about seven comparisons and loading the filter (the kernel tries it on every
//! number to fill its cache) takes a sixth of the time of a list.
//!
//! Kept from Docker: an allow list that knows capabilities, `clone` without namespace flags,
//! `clone3` as `ENOSYS` (its flags lie in memory, where no filter can see them), `personality`
//! with harmless values, no `AF_VSOCK`. Other than Docker: no x32 calls.

mod calls;
mod program;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::Capabilities;
use program::{Action, Section};

/// One instruction, as the kernel takes it.
pub(crate) type Instruction = libc::sock_filter;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// Returns the filter for a process with these capabilities; the default one is made once.
pub(crate) fn filter(capabilities: Capabilities) -> Arc<[Instruction]> {
    static DEFAULT: OnceLock<Arc<[Instruction]>> = OnceLock::new();
    if capabilities == Capabilities::DEFAULT {
        return DEFAULT.get_or_init(|| build(capabilities)).clone();
    }
    build(capabilities)
}

fn build(capabilities: Capabilities) -> Arc<[Instruction]> {
    let has = |name| Capabilities::from_name(name).is_some_and(|c| capabilities.has(c));
    let clone = if has("SYS_ADMIN") { Action::Allow } else { Action::Clone };
    let mut native: BTreeMap<u32, Action> =
        calls::allowed(capabilities).map(|number| (number, Action::Allow)).collect();
    let special = [
        (libc::SYS_clone, clone),
        (libc::SYS_clone3, if has("SYS_ADMIN") { Action::Allow } else { Action::NoSuchCall }),
        (libc::SYS_personality, Action::Personality),
        (libc::SYS_socket, Action::Socket),
    ];
    for (number, action) in special {
        native.extend(u32::try_from(number).ok().map(|number| (number, action)));
    }

    let compat = &calls::COMPAT;
    let mut narrow: BTreeMap<u32, Action> = compat
        .allowed
        .iter()
        .flat_map(|&(first, last)| first..=last)
        .map(|number| (number, Action::Allow))
        .collect();
    narrow.extend([
        (compat.clone, clone),
        (435, Action::NoSuchCall), // clone3
        (compat.personality, Action::Personality),
        (compat.socket, Action::Socket),
    ]);
    if has("SYS_CHROOT") {
        narrow.insert(compat.chroot, Action::Allow);
    }

    program::assemble(&[
        Section { arch: ARCH, calls: native, newest: calls::NEWEST },
        Section { arch: compat.arch, calls: narrow, newest: calls::NEWEST },
    ])
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use program::interpret;

    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0000 | 1;
    const ENOSYS: u32 = 0x0005_0000 | 38;

    fn check(capabilities: Capabilities, number: libc::c_long, argument: u64, expect: u32) {
        let filter = filter(capabilities);
        let number = u32::try_from(number).unwrap();
        assert_eq!(interpret(&filter, ARCH, number, argument), expect, "call {number}({argument})");
    }

    #[test]
    fn the_default_lets_through_what_docker_lets_through() {
        let default = Capabilities::DEFAULT;
        check(default, libc::SYS_read, 0, ALLOW);
        check(default, libc::SYS_execve, 0, ALLOW);
        check(default, libc::SYS_chroot, 0, ALLOW);
        check(default, libc::SYS_mount, 0, EPERM);
        check(default, libc::SYS_unshare, 0, EPERM);
        check(default, libc::SYS_keyctl, 0, EPERM);
        check(default, libc::SYS_bpf, 0, EPERM);
        check(default, libc::SYS_io_uring_setup, 0, EPERM);
        check(default, libc::SYS_clone3, 0, ENOSYS);
        check(default, 470, 0, ENOSYS);
        check(default, 0x4000_0000, 0, ENOSYS);
    }

    #[test]
    fn arguments_are_looked_at() {
        let default = Capabilities::DEFAULT;
        check(default, libc::SYS_clone, 0x11, ALLOW);
        check(default, libc::SYS_clone, 0x1000_0011, EPERM);
        check(default, libc::SYS_clone, 0x0002_0011, EPERM);
        check(default, libc::SYS_personality, 0xffff_ffff, ALLOW);
        check(default, libc::SYS_personality, 0x0040_0000, EPERM);
        check(default, libc::SYS_socket, 2, ALLOW);
        check(default, libc::SYS_socket, 40, EPERM);
    }

    #[test]
    fn a_capability_opens_its_calls() {
        let admin = Capabilities::DEFAULT.with(Capabilities::from_name("SYS_ADMIN").unwrap());
        check(admin, libc::SYS_mount, 0, ALLOW);
        check(admin, libc::SYS_clone, 0x1000_0011, ALLOW);
        check(Capabilities::NONE, libc::SYS_chroot, 0, EPERM);
    }

    #[test]
    fn programs_of_the_32_bit_sibling_run_and_others_do_not() {
        let filter = filter(Capabilities::DEFAULT);
        assert_eq!(interpret(&filter, calls::COMPAT.arch, 3, 0), ALLOW);
        assert_eq!(interpret(&filter, calls::COMPAT.arch, 21, 0), EPERM);
        assert_eq!(interpret(&filter, calls::COMPAT.arch, calls::COMPAT.clone, 0x11), ALLOW);
        assert_eq!(interpret(&filter, 0xdead, 3, 0), EPERM);
    }

    #[test]
    fn it_is_small() {
        assert!(filter(Capabilities::DEFAULT).len() < 500);
    }
}
