//! Content digests: what a copy of some files depends on, without times.
//!
//! Each entry goes in as path, kind, mode, owner, attributes and payload, with every length in
//! front of what it measures, so no two different lists of entries feed the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::Manifest;
use super::codec::{kind, put_bytes, put_joined, put_metadata, put_payload};
use crate::{Entry, Node, TreePath};

const VERSION: &[u8] = b"gantry content digest 1";
const MISSING: u8 = 0xff;

/// Above this many bytes blake3 hashes many at once, which is several times faster.
const FLUSH: usize = 64 * 1024;

/// One selected path of a manifest or view, with the name under which it is digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// What is selected, with everything below it.
    pub path: TreePath,
    /// Where the selection is hung, such as the destination, or the root if the name of the
    /// selected path must not count.
    pub at: TreePath,
}

/// Which inode an entry with several names is: an index of a layer or tree, and a path in it.
pub type Origin<'a> = (usize, &'a TreePath);

/// Digests entries one by one: path, type, mode, owner, attributes, link, content; never times,
/// and not the opaque marks of directories, which are no part of what a copy makes.
#[derive(Debug, Clone)]
pub struct ContentHasher {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    /// Whether opaque marks count.
    marks: bool,
    /// Whether modes count.
    modes: bool,
    /// The first name of each inode that has several.
    names: BTreeMap<(usize, TreePath), TreePath>,
}

impl ContentHasher {
    /// Starts an empty digest.
    #[expect(clippy::new_without_default, reason = "a digest is begun on purpose")]
    pub fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(VERSION);
        Self {
            hasher,
            buffer: Vec::with_capacity(FLUSH + 1024),
            marks: false,
            modes: true,
            names: BTreeMap::new(),
        }
    }

    /// Makes all modes count as the same.
    pub fn with_any_mode(self) -> Self {
        Self { modes: false, ..self }
    }

    /// Takes in an entry under the name that `below` has in the directory `dir`.
    ///
    /// `real` is the entry itself or, for a hard link, the one it stands for. An inode that has
    /// several names among what is digested needs its `origin` with each of them; from the second
    /// on, only the link to the first counts.
    pub fn add(
        &mut self,
        dir: &TreePath,
        below: &TreePath,
        real: &Entry,
        origin: Option<Origin<'_>>,
    ) {
        put_joined(&mut self.buffer, dir, below);
        if let Some((tree, path)) = origin {
            let origin = (tree, path.clone());
            if let Some(first) = self.names.get(&origin) {
                let link = Node::HardLink { target: first.clone() };
                self.buffer.push(kind(&link));
                put_payload(&mut self.buffer, &link);
                return;
            }
            self.names.insert(origin, dir.join_path(below));
        }
        let plain_dir = real.is_dir() && !self.marks;
        self.buffer.push(kind(if plain_dir { &Node::Dir { opaque: false } } else { &real.node }));
        put_metadata(&mut self.buffer, if self.modes { real.mode } else { 0 }, real);
        put_payload(&mut self.buffer, &real.node);
        if self.buffer.len() >= FLUSH {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// Notes that nothing lies where something was selected.
    pub fn add_missing(&mut self, at: &TreePath) {
        put_bytes(&mut self.buffer, at.as_bytes());
        self.buffer.push(MISSING);
    }

    /// Returns the digest.
    pub fn finish(mut self) -> [u8; 32] {
        self.hasher.update(&self.buffer);
        *self.hasher.finalize().as_bytes()
    }
}

impl Manifest {
    /// Digests the whole tree without times; whiteouts and opaque marks count.
    pub fn content_digest(&self) -> [u8; 32] {
        let whole = Selected { path: TreePath::root(), at: TreePath::root() };
        let entries = self.entries.iter().map(|entry| (0, entry)).collect();
        digest(&[(&whole, entries)], true, |(_, entry)| self.real(entry))
    }

    /// Digests just the selected subtrees, each as if it lay at [`Selected::at`]. Changes elsewhere
    /// in the manifest do not show; a hard link whose target is outside counts as a file.
    pub fn selection_digest(&self, selection: &[Selected]) -> [u8; 32] {
        let subtrees = selection.iter().map(|selected| {
            let entries: Vec<_> = self.subtree(&selected.path).iter().map(|e| (0, e)).collect();
            (selected, entries)
        });
        digest(&subtrees.collect::<Vec<_>>(), false, |(_, entry)| self.real(entry))
    }
}

/// An entry with the index of the layer it is from.
type Found<'a> = (usize, &'a Entry);

/// Digests subtrees that were listed before; `real` looks behind hard links, `marks` says whether
/// opaque marks count.
pub(crate) fn digest<'a>(
    subtrees: &[(&Selected, Vec<Found<'a>>)],
    marks: bool,
    real: impl Fn(Found<'a>) -> &'a Entry,
) -> [u8; 32] {
    let mut linked = BTreeSet::new();
    for (layer, entry) in subtrees.iter().flat_map(|(_, entries)| entries) {
        if let Node::HardLink { target } = &entry.node {
            linked.insert((*layer, target));
        }
    }
    let mut hasher = ContentHasher::new();
    hasher.marks = marks;
    let root = TreePath::root();
    for (selected, entries) in subtrees {
        // The root of a tree need not be listed to be there.
        if entries.is_empty() && !selected.path.is_root() {
            hasher.add_missing(&selected.at);
        }
        for found in entries {
            let real = real(*found);
            let origin = (found.0, &real.path);
            let origin = (!linked.is_empty() && linked.contains(&origin)).then_some(origin);
            // A subtree holds nothing that lies elsewhere.
            let below = found.1.path.strip_prefix(&selected.path);
            let (dir, below) = match &below {
                Some(below) => (&selected.at, below),
                None => (&root, &found.1.path),
            };
            hasher.add(dir, below, real, origin);
        }
    }
    hasher.finish()
}
