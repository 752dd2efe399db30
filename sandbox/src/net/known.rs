//! Which bridge a state directory speaks of, so that it is known again, and no other taken for it.

use std::io;
use std::path::Path;

use super::pool::Subnet;

/// An address that no other bridge on this host has, of those that anybody may choose.
pub(super) fn unique_address() -> [u8; 6] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // Seeded by the kernel's randomness; the process makes it different from its neighbours' even
    // where that is the same.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let [a, b, c, d, e, ..] = hasher.finish().to_ne_bytes();
    [0x02, a, b, c, d, e]
}

/// The bridge that a state directory speaks of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) subnet: Subnet,
    pub(super) hardware_address: [u8; 6],
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.hardware_address.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        writeln!(f, "{} {} {number:012x}", self.name, self.subnet)
    }
}

impl Known {
    pub(super) fn read(state: &Path) -> Option<Self> {
        Self::parse(&fs_err::read_to_string(state.join("bridge")).ok()?)
    }

    pub(super) fn write(&self, state: &Path) -> io::Result<()> {
        fs_err::write(state.join("bridge"), self.to_string())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (name, subnet, number) = (words.next()?, words.next()?, words.next()?);
        // The file says which interface may be removed; nothing but ours may be.
        name.strip_prefix("gantry")?.parse::<u32>().ok()?;
        let [0, 0, hardware_address @ ..] = u64::from_str_radix(number, 16).ok()?.to_be_bytes()
        else {
            return None;
        };
        Some(Self { name: name.to_owned(), subnet: Subnet::parse(subnet)?, hardware_address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let known = Known {
            name: "gantry7".to_owned(),
            subnet: Subnet::parse("172.18.0.0/16").unwrap(),
            hardware_address: [2, 0, 0xff, 1, 0, 9],
        };
        assert_eq!(known.to_string(), "gantry7 172.18.0.0/16 0200ff010009\n");
        assert_eq!(Known::parse(&known.to_string()), Some(known));
        for text in ["", "eth0 172.18.0.0/16 0200ff010009", "gantry7 172.18.0.0/16", "gantry7 x 02"]
        {
            assert_eq!(Known::parse(text), None, "{text}");
        }
    }
}
