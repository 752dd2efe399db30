//! A manifest as bytes, and back.
//!
//! ```text
//! manifest = "gmf" version(1) count entry*
//! entry    = path kind mode uid gid attributes seconds(zigzag) nanos payload
//! ```
//!
//! Integers are LEB128 in their shortest form, byte strings carry their length in front. Each
//! manifest has exactly one encoding, so that equal bytes and equal trees are the same thing.

use super::{Manifest, ManifestError};
use crate::{ContentId, Entry, Node, Time, TreePath, Xattrs};

const MAGIC: &[u8; 3] = b"gmf";
const VERSION: u8 = 1;

/// No entry takes fewer bytes, so no more of them are made room for in advance.
const SHORTEST_ENTRY: usize = 8;

/// Some bytes are no manifest that this version reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first bytes are another file's.
    #[error("The data is not a manifest")]
    NotAManifest,
    /// A newer gantry wrote it.
    #[error("The manifest has format {0}, this gantry knows 1")]
    Version(u8),
    /// It ends too early, goes on too long, or holds a value that no writer writes.
    #[error("The manifest is damaged at byte {0}")]
    Damaged(usize),
    /// Its entries are readable, but make up no tree.
    #[error("The manifest lists what is no tree")]
    Malformed(#[from] ManifestError),
}

impl Manifest {
    /// Writes the manifest as versioned, length-prefixed binary. Equal manifests give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.entries.len() * 96);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        put(&mut out, self.entries.len() as u64);
        for entry in &self.entries {
            put_bytes(&mut out, entry.path.as_bytes());
            out.push(kind(&entry.node));
            put_metadata(&mut out, entry.mode, entry);
            put(&mut out, zigzag(entry.mtime.secs));
            put(&mut out, entry.mtime.nanos.into());
            put_payload(&mut out, &entry.node);
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote. Safe on hostile bytes: takes memory in
    /// proportion to `bytes` only, and accepts just the one encoding that each manifest has.
    ///
    /// # Errors
    /// [`DecodeError`] for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let version = match bytes {
            [a, b, c, version, ..] if [*a, *b, *c] == *MAGIC => *version,
            _ => return Err(DecodeError::NotAManifest),
        };
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let mut reader = Reader { bytes, at: 4 };
        let count = reader.length()?;
        let mut entries = Vec::with_capacity(count.min(bytes.len() / SHORTEST_ENTRY));
        for _ in 0..count {
            entries.push(reader.entry()?);
        }
        if reader.at != bytes.len() {
            return Err(reader.damaged());
        }
        let manifest = Self { entries };
        // Not `new`, which would sort: a second order would be a second encoding.
        manifest.check()?;
        Ok(manifest)
    }
}

/// Says by which number a node goes in an encoding.
pub(super) fn kind(node: &Node) -> u8 {
    match node {
        Node::Dir { opaque: false } => 0,
        Node::Dir { opaque: true } => 1,
        Node::File { .. } => 2,
        Node::HardLink { .. } => 3,
        Node::Symlink { .. } => 4,
        Node::CharDevice { .. } => 5,
        Node::BlockDevice { .. } => 6,
        Node::Fifo => 7,
        Node::Whiteout => 8,
    }
}

/// Writes a mode, and owner and attributes of an entry.
pub(super) fn put_metadata(out: &mut Vec<u8>, mode: u32, entry: &Entry) {
    put(out, mode.into());
    put(out, entry.uid.into());
    put(out, entry.gid.into());
    put(out, entry.xattrs.len() as u64);
    for (name, value) in &entry.xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
}

/// Writes what a node has beyond its kind.
pub(super) fn put_payload(out: &mut Vec<u8>, node: &Node) {
    match node {
        Node::File { size, content } => {
            put(out, *size);
            out.extend_from_slice(&content.0);
        }
        Node::HardLink { target } => put_bytes(out, target.as_bytes()),
        Node::Symlink { target } => put_bytes(out, target),
        Node::CharDevice { major, minor } | Node::BlockDevice { major, minor } => {
            put(out, (*major).into());
            put(out, (*minor).into());
        }
        Node::Dir { .. } | Node::Fifo | Node::Whiteout => {}
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes the path of `below` in `dir`, as [`put_bytes`] does with the joined path.
pub(super) fn put_joined(out: &mut Vec<u8>, dir: &TreePath, below: &TreePath) {
    if dir.is_root() || below.is_root() {
        return put_bytes(out, if dir.is_root() { below } else { dir }.as_bytes());
    }
    put(out, (dir.as_bytes().len() + 1 + below.as_bytes().len()) as u64);
    out.extend_from_slice(dir.as_bytes());
    out.push(b'/');
    out.extend_from_slice(below.as_bytes());
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self) -> DecodeError {
        DecodeError::Damaged(self.at)
    }

    fn entry(&mut self) -> Result<Entry, DecodeError> {
        let path = self.path()?;
        let kind = self.byte()?;
        let mode = self.u32()?;
        let uid = self.u32()?;
        let gid = self.u32()?;
        let xattrs = self.xattrs()?;
        let mtime = Time { secs: unzigzag(self.u64()?), nanos: self.u32()? };
        let node = self.node(kind)?;
        Ok(Entry { path, node, mode, uid, gid, mtime, xattrs })
    }

    fn node(&mut self, kind: u8) -> Result<Node, DecodeError> {
        Ok(match kind {
            0 | 1 => Node::Dir { opaque: kind == 1 },
            2 => Node::File { size: self.u64()?, content: ContentId(self.array()?) },
            3 => Node::HardLink { target: self.path()? },
            4 => Node::Symlink { target: self.string()?.to_vec() },
            5 => Node::CharDevice { major: self.u32()?, minor: self.u32()? },
            6 => Node::BlockDevice { major: self.u32()?, minor: self.u32()? },
            7 => Node::Fifo,
            8 => Node::Whiteout,
            _ => return Err(self.damaged()),
        })
    }

    fn xattrs(&mut self) -> Result<Xattrs, DecodeError> {
        let count = self.length()?;
        let mut xattrs = Xattrs::new();
        for _ in 0..count {
            xattrs.push((self.string()?.to_vec(), self.string()?.to_vec()));
        }
        Ok(xattrs)
    }

    fn path(&mut self) -> Result<TreePath, DecodeError> {
        let at = self.at;
        TreePath::new(self.string()?).map_err(|_| DecodeError::Damaged(at))
    }

    fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged())?;
        let string = &self.bytes[self.at..end];
        self.at = end;
        Ok(string)
    }

    fn array(&mut self) -> Result<[u8; 32], DecodeError> {
        let rest = &self.bytes[self.at..];
        let array = *rest.first_chunk().ok_or_else(|| self.damaged())?;
        self.at += 32;
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.damaged())?;
        self.at += 1;
        Ok(byte)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        let value = self.u64()?;
        u32::try_from(value).map_err(|_| self.damaged())
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let value = self.u64()?;
        usize::try_from(value).map_err(|_| self.damaged())
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let longer_than_needed = byte == 0 && shift > 0;
            if (part << shift) >> shift != part || longer_than_needed {
                return Err(self.damaged());
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }
}
