//! [`Manifest`]: the sorted list of what a layer, a context or a copy holds.
//!
//! Promises that its entries make up a tree: sorted, no path twice, every parent listed as a
//! directory (but for the root, which may be left out), every hard link naming an earlier entry
//! that can have links. Who reads one checks none of that again.

mod codec;
mod digest;

use std::cmp::Ordering;
use std::collections::BTreeMap;

pub use codec::DecodeError;
pub(crate) use digest::digest;
pub use digest::{ContentHasher, Origin, Selected};

use crate::path::{compare, lies_below};
use crate::{ContentId, Entry, Node, TreePath};

/// A well-formed tree's entries in [`TreePath`] order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    entries: Vec<Entry>,
}

/// Why some entries are no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A path is there twice.
    #[error("`{0}` is listed twice")]
    Duplicate(TreePath),
    /// A path's parent isn't listed as a directory.
    #[error("`{0}` has no parent directory in the list")]
    NoParent(TreePath),
    /// A hard link does not name an earlier entry that may have links.
    #[error("`{0}` is a hard link to `{1}`, which is no earlier file of the list")]
    BadLink(TreePath, TreePath),
    /// A path shall be a directory and something else at once.
    #[error("`{0}` is a directory as well as something else")]
    Conflict(TreePath),
    /// The root is listed as something else than a directory.
    #[error("The root of the tree is not a directory")]
    RootNotDir,
    /// A field is out of its range: a mode above `0o7777`, nanoseconds of a second or more,
    /// attributes not sorted.
    #[error("`{0}` has a {1} out of range")]
    BadField(TreePath, &'static str),
}

impl Manifest {
    /// Sorts the entries and checks that they make up a tree.
    ///
    /// # Errors
    /// [`ManifestError`] names the first entry that does not fit.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, ManifestError> {
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        }
        let manifest = Self { entries };
        manifest.check()?;
        Ok(manifest)
    }

    /// Like [`new`](Self::new), and adds the parent directories that aren't listed, each as
    /// `make` says.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_parents(
        mut entries: Vec<Entry>,
        mut make: impl FnMut(TreePath) -> Entry,
    ) -> Result<Self, ManifestError> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let mut made: BTreeMap<TreePath, Entry> = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            for parent in entry.path.ancestors().filter(|parent| !parent.is_root()) {
                // A parent sorts before its children, so it is behind us if it is anywhere.
                let before = &entries[..index];
                let listed = before.binary_search_by(|e| e.path.cmp(&parent)).is_ok();
                if listed || made.contains_key(&parent) {
                    break;
                }
                made.insert(parent.clone(), make(parent));
            }
        }
        entries.extend(made.into_values());
        Self::new(entries)
    }

    /// Returns all entries in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Gives the entries back for changing.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Gives everything to one owner.
    pub fn set_owner(&mut self, uid: u32, gid: u32) {
        for entry in &mut self.entries {
            (entry.uid, entry.gid) = (uid, gid);
        }
    }

    /// Sets permission bits, of which `mode` returns `0o7777` at most.
    pub fn set_modes(&mut self, mode: impl Fn(&Entry) -> u32) {
        for entry in &mut self.entries {
            entry.mode = mode(entry) & 0o7777;
        }
    }

    /// Returns the entry at `path`.
    pub fn get(&self, path: &TreePath) -> Option<&Entry> {
        self.get_bytes(path.as_bytes())
    }

    pub(crate) fn get_bytes(&self, path: &[u8]) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|e| compare(e.path.as_bytes(), path));
        found.ok().map(|index| &self.entries[index])
    }

    /// Returns the entry that a hard link stands for, and any other entry itself.
    pub fn real<'a>(&'a self, entry: &'a Entry) -> &'a Entry {
        match &entry.node {
            Node::HardLink { target } => self.get(target).unwrap_or(entry),
            _ => entry,
        }
    }

    /// Returns the entries at and below `path`, which lie next to each other.
    pub fn subtree(&self, path: &TreePath) -> &[Entry] {
        let path = path.as_bytes();
        let start = self.entries.partition_point(|e| compare(e.path.as_bytes(), path).is_lt());
        let tail = &self.entries[start..];
        // What lies below sorts right behind, so the first that does not ends it.
        &tail[..tail.partition_point(|e| lies_below(e.path.as_bytes(), path))]
    }

    /// Iterates over the entries directly in the directory `path`, in order.
    pub fn children<'a>(&'a self, path: &TreePath) -> Children<'a> {
        let all = self.subtree(path);
        let own = all.first().is_some_and(|e| e.path == *path);
        Children { rest: &all[usize::from(own)..] }
    }

    /// Returns the bytes of all regular files together, counting hard links once.
    pub fn total_size(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size()))
    }

    /// Returns the blake3 of [`encode`](Self::encode): equal for equal trees, times included.
    pub fn id(&self) -> [u8; 32] {
        *blake3::hash(&self.encode()).as_bytes()
    }

    /// Says what files hold whose contents were [`ContentId::UNREAD`], by number of entry.
    pub fn set_contents(&mut self, read: &[(usize, ContentId)]) {
        for (number, id) in read {
            if let Some(Entry { node: Node::File { content, .. }, .. }) =
                self.entries.get_mut(*number)
            {
                *content = *id;
            }
        }
    }

    /// Returns the same with all times in whole seconds, see [`crate::Time::whole`].
    #[must_use]
    pub fn in_whole_seconds(mut self) -> Self {
        for entry in &mut self.entries {
            entry.mtime = entry.mtime.whole();
        }
        self
    }

    /// Takes entries that a walk listed in order and that make up a tree by construction.
    pub(crate) fn from_walk(entries: Vec<Entry>) -> Self {
        let manifest = Self { entries };
        debug_assert_eq!(manifest.check(), Ok(()));
        manifest
    }

    fn check(&self) -> Result<(), ManifestError> {
        // The directories that the current entry lies in, the nearest last.
        let mut open: Vec<&TreePath> = Vec::new();
        let mut previous: Option<&TreePath> = None;
        for entry in &self.entries {
            let path = &entry.path;
            if previous.is_some_and(|previous| previous.cmp(path) != Ordering::Less) {
                return Err(ManifestError::Duplicate(path.clone()));
            }
            previous = Some(path);
            check_fields(entry)?;
            if path.is_root() {
                if !entry.is_dir() {
                    return Err(ManifestError::RootNotDir);
                }
                continue;
            }
            while open.last().is_some_and(|dir| !path.starts_with(dir)) {
                open.pop();
            }
            let parent = path.parent_bytes().unwrap_or_default();
            if open.last().map_or(b"".as_slice(), |dir| dir.as_bytes()) != parent {
                return Err(ManifestError::NoParent(path.clone()));
            }
            if entry.is_dir() {
                open.push(path);
            }
            if let Node::HardLink { target } = &entry.node {
                let linkable = self.get(target).is_some_and(|e| {
                    e.path < *path
                        && !matches!(
                            e.node,
                            Node::Dir { .. } | Node::HardLink { .. } | Node::Whiteout
                        )
                });
                if !linkable {
                    return Err(ManifestError::BadLink(path.clone(), target.clone()));
                }
            }
        }
        Ok(())
    }
}

fn check_fields(entry: &Entry) -> Result<(), ManifestError> {
    let bad = |what| Err(ManifestError::BadField(entry.path.clone(), what));
    if entry.mode > 0o7777 {
        return bad("mode");
    }
    if entry.mtime.nanos >= 1_000_000_000 {
        return bad("time");
    }
    if !entry.xattrs.is_sorted_by(|a, b| a.0 < b.0) {
        return bad("list of attributes");
    }
    if let Node::Symlink { target } = &entry.node
        && (target.is_empty() || target.contains(&0))
    {
        return bad("link target");
    }
    Ok(())
}

/// Iterator over a directory's own entries, see [`Manifest::children`].
#[derive(Debug, Clone)]
pub struct Children<'a> {
    rest: &'a [Entry],
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        let (first, rest) = self.rest.split_first()?;
        let path = first.path.as_bytes();
        // Most entries have nothing below them; only directories are worth a search.
        let inside = if first.is_dir() {
            rest.partition_point(|e| lies_below(e.path.as_bytes(), path))
        } else {
            0
        };
        self.rest = &rest[inside..];
        Some(first)
    }
}
