//! [`scan`]: a directory on disk becomes a manifest, in one parallel pass.
//!
//! A task is a directory, or a stretch of a large one: it is opened once, listed, sorted, and each
//! file in it is described, and read and hashed while its directory is open. The tasks' results are
//! sorted within, so putting them together is a walk over directories and no sort over files.
//!
//! A [`glance`] says beforehand whether a scan is needed, and what it saw is not looked at twice.
//!
//! Follows no symbolic link: a directory that becomes one between listing and opening is an error.

mod again;
mod assemble;
mod describe;
mod glance;
mod hash;
mod look;
mod walk;

use crate::{ContentId, FileKind, Manifest, Root, Stat, TreeError, TreePath};

pub use glance::glance;
pub use hash::hash_reader;
pub(crate) use hash::{BUFFER, hash_fd, read_full};

pub use look::{Glance, Seen};
use walk::Walk;

/// What a directory's special files and attributes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Nothing: an ordinary tree.
    #[default]
    Plain,
    /// Overlayfs's upper as root mounts it: whiteouts, and `trusted.overlay.*` attributes.
    OverlayTrusted,
    /// Overlayfs's upper of a `userxattr` mount: whiteouts, and `user.overlay.*` attributes.
    OverlayUser,
}

impl Dialect {
    /// Returns how the names of overlayfs's own attributes begin.
    pub(crate) fn prefix(self) -> Option<&'static [u8]> {
        match self {
            Self::Plain => None,
            Self::OverlayTrusted => Some(b"trusted.overlay."),
            Self::OverlayUser => Some(b"user.overlay."),
        }
    }
}

/// Whether files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contents {
    /// Every regular file is hashed.
    #[default]
    Hash,
    /// None is opened: contents are [`ContentId::UNREAD`], and attributes are not read.
    Skip,
}

/// What a filter wants done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// List it, and go into it.
    Keep,
    /// Go into it, and list it only if something below it is kept. For a file as `Skip`.
    Descend,
    /// Leave it out, with all below it, unread.
    Skip,
}

/// Asked for every path but the root before it is looked at; called from several threads.
pub type FilterFn<'a> = &'a (dyn Fn(&TreePath, FileKind) -> Verdict + Sync);

/// Asked for every regular file before it is opened: what a file with this stat is known to hold.
///
/// Only files recorded by [`Scan::indexable`] may be answered: those had no extended attributes,
/// and as setting one moves the ctime, they are then known to have none still.
pub type KnownFn<'a> = &'a (dyn Fn(&TreePath, &Stat) -> Option<ContentId> + Sync);

/// How to [`scan`].
#[derive(Clone, Copy, Default)]
pub struct ScanOptions<'a> {
    /// What special files mean.
    pub dialect: Dialect,
    /// Whether files are read.
    pub contents: Contents,
    /// What to leave out; all is kept without one.
    pub filter: Option<FilterFn<'a>>,
    /// What need not be read again.
    pub known: Option<KnownFn<'a>>,
    /// Also list the root directory itself, as the empty path.
    pub include_root: bool,
    /// Also say what a [`glance`] would have told. Each stat is from before its file was read, so
    /// what changes meanwhile looks different the next time.
    pub glance: bool,
    /// What a glance at the same root with the same filter saw: nothing is listed then, and no
    /// known file looked at again. It counts for nothing if what has to be opened has changed since.
    pub seen: Option<&'a Seen>,
    /// How many threads at most; 0 means 4.
    pub workers: usize,
}

/// What [`scan`] found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The entries.
    pub manifest: Manifest,
    /// One for each entry of the manifest, in the same order. Those that come from
    /// [`ScanOptions::seen`] know of no blocks.
    pub stats: Vec<Stat>,
    /// Sockets, which no manifest can hold.
    pub sockets: Vec<TreePath>,
    /// How many files were opened and read.
    pub files_read: u64,
    /// What a [`glance`] would have told, or did tell, if that was asked for.
    pub glance: Option<Glance>,
}

impl Scan {
    /// Lists what an index may remember of this scan: regular files whose content is known and
    /// that have no extended attributes. Hard links are listed with the content of their file.
    pub fn indexable(&self) -> impl Iterator<Item = (&TreePath, &Stat, ContentId)> {
        self.manifest.entries().iter().zip(&self.stats).filter_map(|(entry, stat)| {
            let content = self.manifest.real(entry).content()?;
            (entry.xattrs.is_empty() && content.is_read()).then_some((&entry.path, stat, content))
        })
    }
}

/// Lists and hashes everything below `root`, following no symbolic links.
///
/// # Errors
/// [`TreeError::Changed`] for a file that goes away meanwhile, [`TreeError::Io`] for one that can't
/// be read, [`TreeError::Indirect`] for an overlay upper that isn't complete in itself; each names
/// the file.
pub fn scan(root: &Root, options: &ScanOptions<'_>) -> Result<Scan, TreeError> {
    let outputs = options.seen.and_then(|seen| Walk::new(root, options).again(seen).ok());
    let outputs = outputs.map_or_else(|| Walk::new(root, options).all(), Ok)?;
    Ok(assemble::assemble(outputs, options.include_root))
}
