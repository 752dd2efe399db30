//! The bytes of a context index.
//!
//! ```text
//! magic and version   16 bytes
//! count, text length  2 x u32
//! blake3              of records and paths, 32 bytes: a power failure may leave zeros in a file
//! blake3              of the looks, 32 bytes
//! looks               8 x 96 bytes: selection, glance, digest; zeros for none
//! records             count x 96 bytes, sorted by path
//! paths               their bytes, one after the other
//! ```
//!
//! All numbers are little-endian. A record has a fixed size, so that the file is used as it is
//! read: nothing is allocated a record, and a look-up reads the bytes in place. The looks alone are
//! read where nothing has changed, and are the one part that is written in place.

use gantry_tree::{ContentId, Stat, Time};

pub(super) const MAGIC: &[u8; 16] = b"gantry context 2";
/// Where the looks begin, with their checksum.
pub(super) const LOOKS: usize = 56;
pub(super) const HEADER: usize = LOOKS + 32 + MOST_LOOKS * 96;
const MOST_LOOKS: usize = 8;
pub(super) const RECORD: usize = 96;

/// What is kept of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed {
    /// Where its path begins among the paths, and its length.
    pub(super) path: (u32, u32),
    pub(super) size: u64,
    pub(super) mtime: Time,
    pub(super) ctime: Time,
    pub(super) ino: u64,
    pub(super) dev: (u32, u32),
    pub(super) mode: u32,
    pub(super) content: ContentId,
}

impl Fixed {
    /// Makes what is kept of a file, without the place of its path.
    pub(super) fn new(stat: &Stat, content: ContentId) -> Fixed {
        let Stat { size, mtime, ctime, ino, dev, mode, .. } = *stat;
        Fixed { path: (0, 0), size, mtime, ctime, ino, dev, mode, content }
    }

    /// Says whether nothing that a stat shows has changed.
    pub(super) fn matches(&self, stat: &Stat) -> bool {
        self.ctime == stat.ctime
            && self.mtime == stat.mtime
            && self.size == stat.size
            && self.ino == stat.ino
            && self.dev == stat.dev
            && self.mode == stat.mode
    }

    pub(super) fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&self.path.0.to_le_bytes());
        put(&self.path.1.to_le_bytes());
        put(&self.size.to_le_bytes());
        put(&self.mtime.secs.to_le_bytes());
        put(&self.ctime.secs.to_le_bytes());
        put(&self.mtime.nanos.to_le_bytes());
        put(&self.ctime.nanos.to_le_bytes());
        put(&self.ino.to_le_bytes());
        put(&self.dev.0.to_le_bytes());
        put(&self.dev.1.to_le_bytes());
        put(&self.mode.to_le_bytes());
        put(&self.content.0);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; RECORD]) -> Fixed {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let secs = |at: usize| i64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        Fixed {
            path: (u32_at(0), u32_at(4)),
            size: u64_at(8),
            mtime: Time { secs: secs(16), nanos: u32_at(32) },
            ctime: Time { secs: secs(24), nanos: u32_at(36) },
            ino: u64_at(40),
            dev: (u32_at(48), u32_at(52)),
            mode: u32_at(56),
            content: ContentId(std::array::from_fn(|n| bytes[60 + n])),
        }
    }
}

/// What a selection of files looked like from outside, and what it held then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What tells the selection from others of its context, with the rules that it obeys.
    pub selection: [u8; 32],
    /// The digest of a glance at it.
    pub glance: [u8; 32],
    /// The digest of its content.
    pub digest: [u8; 32],
}

/// Writes the last looks that there is space for, behind their checksum.
pub(super) fn encode_looks(looks: &[Look]) -> Vec<u8> {
    let kept = &looks[looks.len().saturating_sub(MOST_LOOKS)..];
    let mut bytes = vec![0; 32];
    bytes.extend(kept.iter().flat_map(|look| [look.selection, look.glance, look.digest].concat()));
    bytes.resize(HEADER - LOOKS, 0);
    let sum = blake3::hash(&bytes[32..]);
    bytes[..32].copy_from_slice(sum.as_bytes());
    bytes
}

/// Reads what [`encode_looks`] wrote; nothing of bytes that are spoilt.
pub(super) fn decode_looks(bytes: &[u8]) -> Vec<Look> {
    let Some((sum, rest)) = bytes.split_first_chunk::<32>() else { return Vec::new() };
    if blake3::hash(rest).as_bytes() != sum {
        return Vec::new();
    }
    let looks = rest.as_chunks::<32>().0.as_chunks::<3>().0.iter();
    looks
        .map(|[selection, glance, digest]| Look {
            selection: *selection,
            glance: *glance,
            digest: *digest,
        })
        .filter(|look| look.selection != [0; 32])
        .collect()
}
