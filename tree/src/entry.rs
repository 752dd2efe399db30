//! [`Entry`]: one file, directory or link, with all of its metadata that a layer can hold.

use std::fmt;
use std::str::FromStr;

use crate::TreePath;

/// Extended attributes, names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The blake3 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    /// Stands where no one has read the file, in the result of a scan that was told not to.
    pub const UNREAD: Self = Self([0; 32]);

    /// Hashes bytes that lie in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Says whether somebody read the file, see [`UNREAD`](Self::UNREAD).
    pub fn is_read(&self) -> bool {
        *self != Self::UNREAD
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

/// Some text is not 64 lowercase hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a content ID of 64 hex digits")]
pub struct NotAContentId(String);

impl FromStr for ContentId {
    type Err = NotAContentId;

    fn from_str(text: &str) -> Result<Self, NotAContentId> {
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match blake3::Hash::from_hex(text) {
            Ok(hash) if lower => Ok(Self(*hash.as_bytes())),
            _ => Err(NotAContentId(text.to_owned())),
        }
    }
}

/// A point in time as inodes keep it. `nanos` is below 1,000,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time {
    /// Whole seconds since 1970, negative before.
    pub secs: i64,
    /// What comes on top of them.
    pub nanos: u32,
}

impl Time {
    /// Returns the time without what comes on top of its seconds, as layers that gantry makes have
    /// it. A fraction would cost each member of a tar two more blocks, and every builder's layers
    /// leave it out.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { nanos: 0, ..self }
    }
}

/// One thing in a tree.
///
/// For a [`Node::HardLink`] the fields from `mode` on repeat nothing: they are those of the entry
/// that the link names, and who makes a link copies them from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub path: TreePath,
    /// What it is.
    pub node: Node,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When the content changed last.
    pub mtime: Time,
    /// Extended attributes without overlayfs's own, sorted by name.
    pub xattrs: Xattrs,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir {
        /// Hides what lower layers have in it.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
        /// Its bytes' digest.
        content: ContentId,
    },
    /// A further name of an earlier entry of the same manifest, which carries the metadata too.
    HardLink {
        /// The earlier entry: a file, symlink, device or fifo.
        target: TreePath,
    },
    /// A symbolic link.
    Symlink {
        /// Its text, as it stands.
        target: Vec<u8>,
    },
    /// A character device. Numbers 0/0 are a whiteout's; see [`Node::Whiteout`].
    CharDevice {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// Nothing: the path of lower layers is deleted in this one.
    Whiteout,
}

/// The type of a file, as a directory listing gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket, which no layer can hold.
    Socket,
}

impl Entry {
    /// Returns a directory of root's with mode 0755 and no time, as implied parents have.
    pub fn plain_dir(path: TreePath) -> Self {
        Self {
            path,
            node: Node::Dir { opaque: false },
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            xattrs: Vec::new(),
        }
    }

    /// Says whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.node, Node::Dir { .. })
    }

    /// Returns the length of a regular file, 0 for all else.
    pub fn size(&self) -> u64 {
        match self.node {
            Node::File { size, .. } => size,
            _ => 0,
        }
    }

    /// Returns the content of a regular file.
    pub fn content(&self) -> Option<ContentId> {
        match self.node {
            Node::File { content, .. } => Some(content),
            _ => None,
        }
    }
}
