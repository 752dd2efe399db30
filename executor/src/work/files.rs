//! [`Files`]: what a selection can be made from, whether it lies in layers or in a directory.

use gantry_tree::{DirEntry, FileKind, Follow, Node, ResolveError, TreeError, TreePath, View};

/// A tree that can be looked at without being mounted, and without a way out of it.
pub(crate) trait Files {
    /// Follows the links of `path` inside the tree and says what is there; `None` if nothing.
    fn find(&self, path: &TreePath, follow: Follow) -> Result<Option<Place>, FilesError>;

    /// Lists the names in a directory, sorted.
    fn list(&self, dir: &TreePath) -> Result<Vec<(Vec<u8>, FileKind)>, FilesError>;
}

/// What was found, and where it really lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: TreePath,
    pub(crate) kind: FileKind,
}

/// A tree could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum FilesError {
    Tree(#[from] TreeError),
    Resolve(#[from] ResolveError),
}

impl Files for View<'_> {
    fn find(&self, path: &TreePath, follow: Follow) -> Result<Option<Place>, FilesError> {
        match self.resolve(path, follow) {
            Ok(resolved) => Ok(resolved
                .found
                .map(|found| Place { path: resolved.path, kind: kind_of(&self.real(found).node) })),
            // `a/b` where `a` is a file: there is no such path.
            Err(ResolveError::NotADirectory(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
        .map(|place| match place {
            // The root is there even if no layer lists it.
            None if path.is_root() => Some(Place { path: TreePath::root(), kind: FileKind::Dir }),
            place => place,
        })
    }

    fn list(&self, dir: &TreePath) -> Result<Vec<(Vec<u8>, FileKind)>, FilesError> {
        let found = View::list(self, dir);
        let named = |found: gantry_tree::Found<'_>| {
            Some((found.1.path.file_name()?.to_vec(), kind_of(&self.real(found).node)))
        };
        Ok(found.into_iter().filter_map(named).collect())
    }
}

/// The type of a node; a hard link or whiteout, which callers have resolved, counts as a file.
pub(crate) fn kind_of(node: &Node) -> FileKind {
    match node {
        Node::Dir { .. } => FileKind::Dir,
        Node::File { .. } | Node::HardLink { .. } | Node::Whiteout => FileKind::File,
        Node::Symlink { .. } => FileKind::Symlink,
        Node::CharDevice { .. } => FileKind::CharDevice,
        Node::BlockDevice { .. } => FileKind::BlockDevice,
        Node::Fifo => FileKind::Fifo,
    }
}

/// Turns a directory's listing into names and types.
pub(crate) fn names(entries: Vec<DirEntry>) -> Vec<(Vec<u8>, FileKind)> {
    entries.into_iter().map(|entry| (entry.name, entry.kind)).collect()
}
