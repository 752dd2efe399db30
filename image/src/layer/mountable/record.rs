//! Superblock, device table and inodes as bytes (Linux's `fs/erofs/erofs_fs.h`).

use std::io::{self, Write};

use gantry_tree::{Entry, Node};

use super::plan::{Data, Place, Plan};
use super::{BLOCK, xattrs};

/// Where the first inode may begin.
pub(super) const HEAD: u64 = 3 * BLOCK;

/// The bytes of an inode without what follows it.
pub(super) const INODE: u64 = 64;

pub(super) const SUPERBLOCK: usize = 1024;
pub(super) const MAGIC: u32 = 0xe0f5_e1e2;
const SLOT: usize = 128;

/// Times are those of the last change of the content.
const COMPAT_MTIME: u32 = 2;
const INCOMPAT_CHUNKED_FILE: u32 = 4;
const INCOMPAT_DEVICE_TABLE: u32 = 8;

/// Chunks are told by a record of device and block each.
const CHUNK_INDEXES: u16 = 0x20;

/// Everything before the inodes.
pub(super) fn head(plan: &Plan<'_>) -> Vec<u8> {
    let mut head = vec![0; HEAD as usize];
    let mut put = |at: usize, bytes: &[u8]| {
        head[SUPERBLOCK + at..SUPERBLOCK + at + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &MAGIC.to_le_bytes());
    put(8, &COMPAT_MTIME.to_le_bytes());
    put(12, &[BLOCK.trailing_zeros() as u8]);
    // It comes first, so its number is small.
    put(14, &(plan.root_number() as u16).to_le_bytes());
    put(16, &(plan.count() as u64).to_le_bytes());
    put(36, &u32::try_from(plan.end() / BLOCK).unwrap_or(u32::MAX).to_le_bytes());
    put(80, &(INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE).to_le_bytes());
    put(86, &1_u16.to_le_bytes());
    // The one device's slot comes right behind the superblock.
    put(88, &((SUPERBLOCK / SLOT + 1) as u16).to_le_bytes());
    put(SLOT + 64, &plan.tar_blocks.to_le_bytes());
    head
}

/// An extended inode.
pub(super) struct Inode<'a> {
    pub(super) entry: &'a Entry,
    pub(super) place: &'a Place,
    pub(super) number: u64,
}

impl Inode<'_> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        const EXTENDED: u16 = 1;
        let Self { entry, place, number } = self;
        let (layout, union) = match place.data {
            Data::None => (0, device(&entry.node)),
            Data::Blocks { first, .. } => (0, first),
            Data::Inline { .. } => (2, 0),
            Data::Chunk { bits, .. } => (4, u32::from(CHUNK_INDEXES | bits)),
        };
        let size = match &entry.node {
            Node::File { size, .. } => *size,
            _ => place.length(),
        };
        out.extend((EXTENDED | layout << 1).to_le_bytes());
        out.extend(xattrs::words(entry).to_le_bytes());
        out.extend((file_type(&entry.node) | entry.mode as u16).to_le_bytes());
        out.extend([0; 2]);
        out.extend(size.to_le_bytes());
        out.extend(union.to_le_bytes());
        // Only 32-bit programs are shown this one.
        out.extend((*number as u32).to_le_bytes());
        out.extend(entry.uid.to_le_bytes());
        out.extend(entry.gid.to_le_bytes());
        out.extend(entry.mtime.secs.to_le_bytes());
        out.extend(entry.mtime.nanos.to_le_bytes());
        out.extend(place.links.to_le_bytes());
        out.extend([0; 16]);
    }
}

/// A device's numbers as Linux writes them; 0 for a whiteout.
fn device(node: &Node) -> u32 {
    match node {
        Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => {
            minor & 0xff | major << 8 | (minor & !0xff) << 12
        }
        _ => 0,
    }
}

/// The type bits of a mode.
fn file_type(node: &Node) -> u16 {
    match node {
        Node::Dir { .. } => 0o040_000,
        Node::File { .. } | Node::HardLink { .. } => 0o100_000,
        Node::Symlink { .. } => 0o120_000,
        Node::CharDevice { .. } | Node::Whiteout => 0o020_000,
        Node::BlockDevice { .. } => 0o060_000,
        Node::Fifo => 0o010_000,
    }
}

/// The type as a directory lists it.
pub(super) fn dirent_kind(node: &Node) -> u8 {
    match node {
        Node::File { .. } | Node::HardLink { .. } => 1,
        Node::Dir { .. } => 2,
        Node::CharDevice { .. } | Node::Whiteout => 3,
        Node::BlockDevice { .. } => 4,
        Node::Fifo => 5,
        Node::Symlink { .. } => 7,
    }
}

/// A writer that knows where it stands.
pub(super) struct Count<W> {
    inner: W,
    at: u64,
}

impl<W: Write> Count<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, at: 0 }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    /// Writes zeros up to a place that is not behind.
    pub(super) fn pad_to(&mut self, end: u64) -> io::Result<()> {
        const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
        while self.at < end {
            let length = (end - self.at).min(BLOCK) as usize;
            self.write_all(&ZEROS[..length])?;
        }
        debug_assert_eq!(self.at, end, "places do not overlap");
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
