//! Content digests: what a copy of some files depends on, without times.

use super::Manifest;
use crate::{Entry, TreePath};

/// One selected path of a manifest or view, with the name under which it is digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// What is selected, with everything below it.
    pub path: TreePath,
    /// Where the selection is hung, such as the destination, or the root if the name of the
    /// selected path must not count.
    pub at: TreePath,
}

/// Digests entries one by one: path, type, mode, owner, attributes, link, content; never times.
#[derive(Debug, Clone)]
pub struct ContentHasher {
    _hasher: blake3::Hasher,
}

impl ContentHasher {
    /// Starts an empty digest.
    #[expect(clippy::new_without_default, reason = "a digest is begun on purpose")]
    pub fn new() -> Self {
        todo!()
    }

    /// Takes in an entry under the name `at`. `origin` says which inode it is, such as layer index
    /// and path of the file behind a hard link: a second entry of the same origin counts as a link
    /// to the first. `real` is the entry itself or, for a hard link, the one it stands for.
    pub fn add(&mut self, at: &TreePath, origin: (usize, &TreePath), real: &Entry) {
        let _ = (at, origin, real);
        todo!()
    }

    /// Notes that nothing lies where something was selected.
    pub fn add_missing(&mut self, at: &TreePath) {
        let _ = at;
        todo!()
    }

    /// Returns the digest.
    pub fn finish(self) -> [u8; 32] {
        todo!()
    }
}

impl Manifest {
    /// Digests the whole tree without times.
    pub fn content_digest(&self) -> [u8; 32] {
        todo!()
    }

    /// Digests just the selected subtrees, each as if it lay at [`Selected::at`]. Changes elsewhere
    /// in the manifest do not show; a hard link whose target is outside counts as a file.
    pub fn selection_digest(&self, selection: &[Selected]) -> [u8; 32] {
        let _ = selection;
        todo!()
    }
}
