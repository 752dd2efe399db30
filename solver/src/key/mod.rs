//! Keys: what makes two operations the same.
//!
//! A [`Key`] is the blake3 hash of a [`Preimage`]'s canonical encoding: versioned, with every
//! length in front, map entries sorted; never `Debug` or JSON text. `encode` owns the bytes,
//! [`preimage`] decides which parts of an operation count, `diff` compares two preimages
//! part by part, as they are encoded (`part`). A [`Listing`] is a part too large to be kept otherwise.

mod diff;
mod encode;
mod listing;
mod part;
pub mod preimage;
mod value;

use std::fmt;

pub use diff::{Change, Difference};
pub use encode::DecodeError;
pub use listing::{ListedPart, Listing, ListingBuilder};
pub use preimage::InputId;
pub use value::{Preimage, Value};

/// What makes two operations the same: the hash of a [`Preimage`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

impl Key {
    /// The first 12 digits, by which people know a step.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex(&self.0[..6]))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Returns bytes as lowercase hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
