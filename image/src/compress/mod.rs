//! Compression: knowing it by its first bytes, undoing it, and doing it the same way every time.
//!
//! ```text
//! read     sniffing and decompressing: gzip (many members), zstd (many frames), bzip2, xz
//! block    the parallel engine: blocks in, compressed blocks out in order, bounded memory
//! workers  its threads
//! write    Encoder: gzip (a member a block) and zstd (a frame a block)
//! ```
//!
//! Compressed bytes depend on the input, the algorithm and the level, never on the number of
//! threads. They may change with the libraries, which are pinned; a test pins their digests too.

mod block;
mod read;
mod workers;
mod write;

use std::fmt;

pub use read::{decoder, reader};
pub use write::{DEFAULT_GZIP_LEVEL, DEFAULT_ZSTD_LEVEL, Encoder};

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// bzip2; read only.
    Bzip2,
    /// xz; read only.
    Xz,
}

/// How many first bytes [`sniff`] needs to be sure.
pub const SNIFF_LEN: usize = 6;

/// Tells the compression by the first bytes; [`Compression::None`] for anything unknown.
#[must_use]
pub fn sniff(first: &[u8]) -> Compression {
    match first {
        [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
        // A frame, or a skippable one, as zstd:chunked and pzstd put first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Compression::Xz,
        _ => Compression::None,
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}
