//! Capabilities by name: what a process may do although it is not root of the host.

/// A set of Linux capabilities (capabilities(7)).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

/// Names in the order of their numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capabilities {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// All that this program knows.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// Docker's 14: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
    /// NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
    pub const DEFAULT: Self = Self(
        1 | 1 << 1
            | 1 << 3
            | 1 << 4
            | 1 << 5
            | 1 << 6
            | 1 << 7
            | 1 << 8
            | 1 << 10
            | 1 << 13
            | 1 << 18
            | 1 << 27
            | 1 << 29
            | 1 << 31,
    );

    /// Finds one by its name, with or without `CAP_`, in any case; `ALL` is all of them.
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if short == "ALL" {
            return Some(Self::ALL);
        }
        NAMES.iter().position(|known| *known == short).map(|bit| Self(1 << bit))
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are in it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The kernel's form: one bit a capability.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The names, each with `CAP_`.
    pub fn names(self) -> impl Iterator<Item = String> {
        NAMES
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, name)| format!("CAP_{name}"))
    }
}

impl std::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_dockers_fourteen() {
        assert_eq!(Capabilities::DEFAULT.names().count(), 14);
        assert_eq!(Capabilities::DEFAULT.bits(), 0xa804_25fb);
    }

    #[test]
    fn names_are_found_as_people_write_them() {
        let admin = Capabilities::from_name("cap_sys_admin").unwrap();
        assert_eq!(Capabilities::from_name("SYS_ADMIN"), Some(admin));
        assert_eq!(admin.bits(), 1 << 21);
        assert!(!Capabilities::DEFAULT.has(admin));
        assert_eq!(Capabilities::from_name("all"), Some(Capabilities::ALL));
        assert_eq!(Capabilities::from_name("nonsense"), None);
    }
}
