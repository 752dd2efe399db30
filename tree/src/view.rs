//! [`View`]: a stack of layers as one tree, answered from manifests without a mount.

use crate::{Entry, Follow, Manifest, ResolveError, Selected, TreePath};

/// The merged tree of some layers, lowest first, as overlayfs would show it.
#[derive(Debug, Clone)]
pub struct View<'a> {
    layers: Vec<&'a Manifest>,
}

/// What lies at a path of a view: the index of the layer that shows it, and its entry there.
pub type Found<'a> = (usize, &'a Entry);

/// Where a path leads, see [`View::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The path without symbolic links in it.
    pub path: TreePath,
    /// What is there. `None` if the path leads to nothing yet; its missing tail is then taken as
    /// it was written.
    pub found: Option<Found<'a>>,
}

impl<'a> View<'a> {
    /// Stacks `layers`, the lowest first. None at all make an empty root.
    pub fn new(layers: &[&'a Manifest]) -> Self {
        Self { layers: layers.to_vec() }
    }

    /// Returns what lies at `path`, following links inside the root as `follow` says.
    /// Nothing there, a loop and a file in place of a directory all are `None`.
    pub fn lookup(&self, path: &TreePath, follow: Follow) -> Option<Found<'a>> {
        self.resolve(path, follow).ok()?.found
    }

    /// Follows the symbolic links of `path` without leaving the root.
    ///
    /// # Errors
    /// [`ResolveError`] for a circle of links and for a file where a directory must be.
    pub fn resolve(&self, path: &TreePath, follow: Follow) -> Result<Resolved<'a>, ResolveError> {
        let _ = (path, follow, &self.layers);
        todo!()
    }

    /// Returns the entry that a hard link stands for (in its own layer), and any other entry itself.
    pub fn real(&self, found: Found<'a>) -> &'a Entry {
        self.layers[found.0].real(found.1)
    }

    /// Lists the directory `dir` (no links followed) by name; whiteouts are not shown.
    pub fn list(&self, dir: &TreePath) -> Vec<Found<'a>> {
        let _ = dir;
        todo!()
    }

    /// Lists `path` and everything below it (no links followed), sorted. The root itself is only
    /// in it if some layer lists it.
    pub fn walk(&self, path: &TreePath) -> Vec<Found<'a>> {
        let _ = path;
        todo!()
    }

    /// Digests the selected subtrees, as [`Manifest::selection_digest`] does for one manifest.
    /// Equal to the digest of one manifest that holds the same files.
    pub fn selection_digest(&self, selection: &[Selected]) -> [u8; 32] {
        let _ = selection;
        todo!()
    }

    /// Flattens the stack into one manifest: what a merged layer in its place would hold.
    pub fn flatten(&self) -> Manifest {
        todo!()
    }
}
