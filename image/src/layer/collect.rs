//! Members become a manifest: what replaces what, which names share a file, which parents are missing.
//!
//! The rules are docker's and containerd's appliers': a later member replaces an earlier one of the
//! same name, except that directories merge; a whiteout removes also what the same layer wrote
//! before it. A parent that is no directory is refused and not followed: through a symbolic link a
//! member would land elsewhere than its name says.

use std::collections::BTreeMap;

use gantry_tree::{Entry, Manifest, Node, Time, TreePath, Xattrs};

use super::LayerError;
use super::offsets::Offsets;

/// Owner, mode, times, attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Time,
    pub(super) xattrs: Xattrs,
}

impl Meta {
    fn implied() -> Self {
        Self::of(Entry::plain_dir(TreePath::root()))
    }

    fn of(entry: Entry) -> Self {
        let Entry { mode, uid, gid, mtime, xattrs, .. } = entry;
        Self { mode, uid, gid, mtime, xattrs }
    }

    fn entry(&self, path: TreePath, node: Node) -> Entry {
        let Self { mode, uid, gid, mtime, xattrs } = self.clone();
        Entry { path, node, mode, uid, gid, mtime, xattrs }
    }
}

enum Slot {
    Dir {
        meta: Meta,
        opaque: bool,
        implied: bool,
    },
    Whiteout,
    /// An index into `inodes`.
    Inode(usize),
}

/// What must be there, and gone, on disk before a member is placed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Preparation {
    /// Something at the member's own path has to go, with all below it.
    pub(super) remove: bool,
    /// Directories that nobody mentioned, the highest first.
    pub(super) implied: Vec<TreePath>,
}

/// A manifest under way.
#[derive(Default)]
pub(super) struct Collector {
    slots: BTreeMap<TreePath, Slot>,
    /// With where the tar has a file's bytes, if it has them in one piece.
    inodes: Vec<(Node, Meta, Option<u64>)>,
    /// A directory that is known to be one: most members lie where the one before them lay.
    parent: Option<TreePath>,
}

impl Collector {
    /// Adds a directory, or merges it with one that is there.
    pub(super) fn dir(&mut self, path: &TreePath, meta: Meta) -> Result<Preparation, LayerError> {
        let implied = self.enter(path)?;
        let mut remove = false;
        let was_opaque = match self.slots.get(path) {
            Some(Slot::Dir { opaque, .. }) => *opaque,
            // Deleted, and made anew: nothing of the lower one shows through.
            Some(Slot::Whiteout) => {
                remove = true;
                true
            }
            Some(Slot::Inode(_)) => {
                remove = true;
                false
            }
            None => false,
        };
        self.slots.insert(path.clone(), Slot::Dir { meta, opaque: was_opaque, implied: false });
        Ok(Preparation { remove, implied })
    }

    /// Marks a directory opaque.
    pub(super) fn opaque(&mut self, path: &TreePath) -> Result<Preparation, LayerError> {
        if let Some(Slot::Dir { opaque, .. }) = self.slots.get_mut(path) {
            *opaque = true;
            return Ok(Preparation::default());
        }
        let mut preparation =
            Preparation { remove: self.slots.contains_key(path), ..Preparation::default() };
        preparation.implied = self.enter(path)?;
        self.slots
            .insert(path.clone(), Slot::Dir { meta: Meta::implied(), opaque: true, implied: true });
        preparation.implied.push(path.clone());
        Ok(preparation)
    }

    /// Marks a path as deleted.
    pub(super) fn whiteout(&mut self, path: &TreePath) -> Result<Preparation, LayerError> {
        let preparation = self.replace(path)?;
        self.slots.insert(path.clone(), Slot::Whiteout);
        Ok(preparation)
    }

    /// Makes room for something that is no directory; [`inode`](Self::inode) or
    /// [`link`](Self::link) says what.
    pub(super) fn replace(&mut self, path: &TreePath) -> Result<Preparation, LayerError> {
        if path.is_root() {
            return Err(LayerError::refused(b"./", "the root can only be a directory"));
        }
        let implied = self.enter(path)?;
        let remove = match self.slots.remove(path) {
            None => false,
            Some(Slot::Dir { .. }) => {
                self.parent = None;
                let below = self
                    .slots
                    .range(path.clone()..)
                    .take_while(|(below, _)| below.starts_with(path));
                for below in below.map(|(below, _)| below.clone()).collect::<Vec<_>>() {
                    self.slots.remove(&below);
                }
                true
            }
            Some(_) => true,
        };
        Ok(Preparation { remove, implied })
    }

    /// Puts a file, link, device or fifo where [`replace`](Self::replace) made room.
    /// `offset` is where its bytes begin, for a file that lies in one piece.
    pub(super) fn inode(&mut self, path: &TreePath, node: Node, meta: Meta, offset: Option<u64>) {
        self.slots.insert(path.clone(), Slot::Inode(self.inodes.len()));
        self.inodes.push((node, meta, offset));
    }

    /// Finds what a hard link names, which must be in the layer already.
    pub(super) fn linked(
        &self,
        path: &TreePath,
        target: &TreePath,
    ) -> Result<(usize, &Node), LayerError> {
        let refused = |reason: String| Err(LayerError::refused(path.as_bytes(), reason));
        if path == target {
            return refused("it is a hard link to itself".to_owned());
        }
        match self.slots.get(target) {
            // What the link replaces takes its contents with it.
            Some(Slot::Inode(_)) if target.starts_with(path) => {
                refused(format!("it is a hard link to `{target}`, which it replaces"))
            }
            Some(Slot::Inode(inode)) => Ok((*inode, &self.inodes[*inode].0)),
            Some(_) => refused(format!("it is a hard link to `{target}`, which is no file")),
            None => refused(format!("it is a hard link to `{target}`, which is not in the layer")),
        }
    }

    /// Gives a file that [`linked`](Self::linked) found a further name.
    pub(super) fn link(&mut self, path: &TreePath, inode: usize) {
        self.slots.insert(path.clone(), Slot::Inode(inode));
    }

    /// Returns the manifest, the directories that were added to it, and where its files lie. Of a file with many names the
    /// first in order is the file, whichever came first in the tar.
    pub(super) fn finish(self) -> Result<(Manifest, Vec<TreePath>, Offsets), LayerError> {
        let mut first_names: Vec<Option<TreePath>> = vec![None; self.inodes.len()];
        let mut entries = Vec::with_capacity(self.slots.len());
        let mut offsets = Offsets::new(self.slots.len());
        let mut all_implied = Vec::new();
        for (path, slot) in self.slots {
            entries.push(match slot {
                Slot::Dir { meta, opaque, implied } => {
                    if implied {
                        all_implied.push(path.clone());
                    }
                    meta.entry(path, Node::Dir { opaque })
                }
                Slot::Whiteout => whiteout(path),
                Slot::Inode(inode) => {
                    let (node, meta, offset) = &self.inodes[inode];
                    match &first_names[inode] {
                        Some(target) => meta.entry(path, Node::HardLink { target: target.clone() }),
                        None => {
                            first_names[inode] = Some(path.clone());
                            if let Some(offset) = offset {
                                offsets.set(entries.len(), *offset);
                            }
                            meta.entry(path, node.clone())
                        }
                    }
                }
            });
        }
        // In order already, so that entries keep their numbers.
        Ok((Manifest::new(entries)?, all_implied, offsets))
    }

    /// Checks the directories above, and adds those that are missing.
    fn enter(&mut self, path: &TreePath) -> Result<Vec<TreePath>, LayerError> {
        let Some(parent) = path.parent() else { return Ok(Vec::new()) };
        if parent.is_root() || self.parent.as_ref() == Some(&parent) {
            return Ok(Vec::new());
        }
        let mut missing = Vec::new();
        for above in std::iter::successors(Some(parent.clone()), TreePath::parent)
            .take_while(|above| !above.is_root())
        {
            match self.slots.get(&above) {
                Some(Slot::Dir { .. }) => break,
                None | Some(Slot::Whiteout) => missing.push(above),
                Some(Slot::Inode(inode)) => {
                    let what = match self.inodes[*inode].0 {
                        Node::Symlink { .. } => "a symbolic link",
                        _ => "no directory",
                    };
                    return Err(LayerError::refused(
                        path.as_bytes(),
                        format!("it would lie in `{above}`, which is {what}"),
                    ));
                }
            }
        }
        missing.reverse();
        for dir in &missing {
            let opaque = matches!(self.slots.get(dir), Some(Slot::Whiteout));
            self.slots
                .insert(dir.clone(), Slot::Dir { meta: Meta::implied(), opaque, implied: true });
        }
        self.parent = Some(parent);
        Ok(missing)
    }
}

/// A whiteout says nothing but its path.
fn whiteout(path: TreePath) -> Entry {
    Entry { node: Node::Whiteout, mode: 0, ..Entry::plain_dir(path) }
}
