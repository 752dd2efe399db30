//! Listing a directory by `getdents64`, without an allocation for each name.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{FileType, RawDir};
use rustix::io::{Errno, Result};

use super::stat_name;
use crate::FileKind;

/// What one call of `getdents64` may fill; glibc takes as much.
const BUFFER: usize = 32 * 1024;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name's bytes.
    pub name: Vec<u8>,
    /// The type.
    pub kind: FileKind,
    /// The inode.
    pub ino: u64,
}

/// The names in a directory, all in one buffer, sorted by their bytes.
#[derive(Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    names: Vec<Name>,
}

struct Name {
    start: usize,
    end: usize,
    kind: FileKind,
    ino: u64,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns the name at `index` of the order, with its type and inode.
    pub(crate) fn get(&self, index: usize) -> (&[u8], FileKind, u64) {
        let name = &self.names[index];
        (&self.bytes[name.start..name.end], name.kind, name.ino)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], FileKind, u64)> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Lists an open directory (not an `O_PATH` one) from where its descriptor stands.
pub(crate) fn list(dir: impl AsFd) -> Result<Names> {
    let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
    let mut listing = RawDir::new(dir.as_fd(), &mut buffer);
    let mut names = Names::default();
    while let Some(entry) = listing.next() {
        let entry = match entry {
            // The directory was removed after it was opened, so nothing is in it.
            Err(Errno::NOENT) => break,
            entry => entry?,
        };
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Directory => FileKind::Dir,
            FileType::RegularFile => FileKind::File,
            FileType::Symlink => FileKind::Symlink,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            // Some file systems don't say.
            FileType::Unknown => stat_name(&dir, name)?.kind,
        };
        let start = names.bytes.len();
        names.bytes.extend_from_slice(name);
        let end = names.bytes.len();
        names.names.push(Name { start, end, kind, ino: entry.ino() });
    }
    let Names { bytes, names: list } = &mut names;
    list.sort_unstable_by(|a, b| bytes[a.start..a.end].cmp(&bytes[b.start..b.end]));
    // A name that is renamed away and back meanwhile may be seen twice.
    list.dedup_by(|a, b| bytes[a.start..a.end] == bytes[b.start..b.end]);
    Ok(names)
}
