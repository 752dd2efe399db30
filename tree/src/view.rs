//! [`View`]: a stack of layers as one tree, answered from manifests without a mount.
//!
//! Follows overlayfs: the topmost entry of a path shows; directories merge with those below until
//! one is opaque or something else lies between; a whiteout hides all below it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::manifest::digest;
use crate::resolve::{Step, resolve};
use crate::{Entry, Follow, Manifest, Node, ResolveError, Selected, TreePath};

/// Stands for a root directory that no layer lists.
static PLAIN_ROOT: LazyLock<Entry> = LazyLock::new(|| Entry::plain_dir(TreePath::root()));

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

/// Something visible, with the layers that show its contents if it is a directory, topmost first.
struct Shown<'a> {
    found: Found<'a>,
    layers: Vec<usize>,
}

impl<'a> View<'a> {
    /// Stacks `layers`, the lowest first. None at all make an empty root.
    pub fn new(layers: &[&'a Manifest]) -> Self {
        Self { layers: layers.to_vec() }
    }

    /// Returns the layer of that index.
    pub fn layer(&self, index: usize) -> Option<&'a Manifest> {
        self.layers.get(index).copied()
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
        let path = resolve::<ResolveError>(path, follow, |path| {
            let Some(shown) = self.locate(path) else { return Ok(Step::Missing) };
            Ok(match &self.real(shown.found).node {
                Node::Dir { .. } => Step::Dir,
                Node::Symlink { target } => Step::Link(target.clone()),
                _ => Step::Other,
            })
        })?;
        let found = self.locate(&path).map(|shown| shown.found);
        Ok(Resolved { path, found })
    }

    /// Returns the entry that a hard link stands for (in its own layer), and any other entry itself.
    pub fn real(&self, found: Found<'a>) -> &'a Entry {
        match self.layers.get(found.0) {
            Some(layer) => layer.real(found.1),
            None => found.1,
        }
    }

    /// Lists the directory `dir` (no links followed) by name; whiteouts are not shown.
    pub fn list(&self, dir: &TreePath) -> Vec<Found<'a>> {
        let Some(shown) = self.locate(dir) else { return Vec::new() };
        self.merge(&shown.layers, dir).into_iter().map(|child| child.found).collect()
    }

    /// Lists `path` and everything below it (no links followed), sorted. The root itself is only
    /// in it if some layer lists it.
    pub fn walk(&self, path: &TreePath) -> Vec<Found<'a>> {
        let mut all = Vec::new();
        let Some(shown) = self.locate(path) else { return all };
        if !std::ptr::eq(shown.found.1, &*PLAIN_ROOT) {
            all.push(shown.found);
        }
        let mut open = vec![self.merge(&shown.layers, path).into_iter()];
        while let Some(dir) = open.last_mut() {
            let Some(child) = dir.next() else {
                open.pop();
                continue;
            };
            match child.layers[..] {
                [] => all.push(child.found),
                // One layer alone has this directory, so its list is the answer.
                [layer] => {
                    let inside = self.layers[layer].subtree(&child.found.1.path);
                    all.push(child.found);
                    let below = inside.iter().skip(1).filter(|e| e.node != Node::Whiteout);
                    all.extend(below.map(|entry| (layer, entry)));
                }
                _ => {
                    all.push(child.found);
                    open.push(self.merge(&child.layers, &child.found.1.path).into_iter());
                }
            }
        }
        all
    }

    /// Digests the selected subtrees, as [`Manifest::selection_digest`] does for one manifest.
    /// Equal to the digest of one manifest that holds the same files.
    pub fn selection_digest(&self, selection: &[Selected]) -> [u8; 32] {
        let subtrees = selection.iter().map(|selected| (selected, self.walk(&selected.path)));
        digest(&subtrees.collect::<Vec<_>>(), false, |found| self.real(found))
    }

    /// Flattens the stack into one manifest, as the lowest layer in its place would hold it: no
    /// whiteouts, no opaque marks.
    pub fn flatten(&self) -> Manifest {
        let all = self.walk(&TreePath::root());
        let linked: BTreeSet<_> = all
            .iter()
            .filter_map(|(layer, entry)| match &entry.node {
                Node::HardLink { target } => Some((*layer, target)),
                _ => None,
            })
            .collect();
        let mut names = BTreeMap::new();
        let entries = all.into_iter().map(|found| {
            let real = self.real(found);
            let mut entry = Entry { path: found.1.path.clone(), ..real.clone() };
            if let Node::Dir { opaque } = &mut entry.node {
                *opaque = false;
            }
            // A link whose first name is hidden by a higher layer becomes the file.
            if linked.contains(&(found.0, &real.path)) {
                let first =
                    names.entry((found.0, &real.path)).or_insert_with(|| entry.path.clone());
                if *first != entry.path {
                    entry.node = Node::HardLink { target: first.clone() };
                }
            }
            entry
        });
        Manifest::from_walk(entries.collect())
    }

    /// Finds what shows at `path`, following nothing.
    fn locate(&self, path: &TreePath) -> Option<Shown<'a>> {
        let all: Vec<usize> = (0..self.layers.len()).rev().collect();
        let mut shown = self
            .step(&all, &[])
            .unwrap_or_else(|| Shown { found: (0, &*PLAIN_ROOT), layers: Vec::new() });
        // Layers that don't list the root have contents in it nevertheless.
        shown.layers = all;
        let bytes = path.as_bytes();
        let slashes = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        let ends = slashes.chain((!bytes.is_empty()).then_some(bytes.len()));
        for end in ends {
            shown = self.step(&shown.layers, &bytes[..end])?;
        }
        Some(shown)
    }

    /// Finds what shows at `path` among those layers that show its parent.
    fn step(&self, layers: &[usize], path: &[u8]) -> Option<Shown<'a>> {
        let mut shown = Partly::default();
        for &layer in layers {
            if let Some(entry) = self.layers[layer].get_bytes(path) {
                shown.take((layer, entry));
            }
            if shown.closed {
                break;
            }
        }
        shown.finish()
    }

    /// Lists what shows in the directory `dir` of those `layers`, topmost first.
    fn merge(&self, layers: &[usize], dir: &TreePath) -> Vec<Shown<'a>> {
        let mut names: BTreeMap<&[u8], Partly<'a>> = BTreeMap::new();
        for &layer in layers {
            for entry in self.layers[layer].children(dir) {
                names.entry(entry.path.as_bytes()).or_default().take((layer, entry));
            }
        }
        // All have the same parent, so the order of bytes is the order of names.
        names.into_values().filter_map(Partly::finish).collect()
    }
}

/// A path seen through the layers from the top down.
#[derive(Default)]
struct Partly<'a> {
    found: Option<Found<'a>>,
    layers: Vec<usize>,
    /// Whether what lies further down is hidden.
    closed: bool,
}

impl<'a> Partly<'a> {
    fn take(&mut self, found: Found<'a>) {
        if self.closed {
            return;
        }
        match found.1.node {
            Node::Dir { opaque } => {
                self.found.get_or_insert(found);
                self.layers.push(found.0);
                self.closed = opaque;
            }
            Node::Whiteout => self.closed = true,
            _ => {
                self.found.get_or_insert(found);
                self.closed = true;
            }
        }
    }

    fn finish(self) -> Option<Shown<'a>> {
        Some(Shown { found: self.found?, layers: self.layers })
    }
}
