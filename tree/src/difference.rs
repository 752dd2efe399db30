//! [`Difference`]: what turned one tree into another, in the words of a layer.

use std::collections::BTreeSet;

use crate::{Entry, Manifest, Node, TreePath};

/// What is new, other or gone in a tree, as the layer that overlay would have left says it.
///
/// The root directory itself is never part of it: its looks are the caller's business.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// What is new or other now, and the directories on the way there, as they are now.
    pub present: BTreeSet<TreePath>,
    /// What is gone: the uppermost paths alone, sorted.
    pub gone: Vec<TreePath>,
}

impl Difference {
    /// Compares a tree as it is with what it was. Neither may hold whiteouts.
    pub fn between(before: &Manifest, after: &Manifest) -> Self {
        let mut found = Self::default();
        for entry in after.entries() {
            let same = before.get(&entry.path).is_some_and(|old| {
                // Of files that were one, a name may be gone, so that another is the first now.
                let first = before.get(first_name(entry));
                let linked = first.is_some_and(|first| first_name(first) == first_name(old));
                is_same(before.real(old), after.real(entry)) && linked
            });
            if !same {
                found.note(&entry.path);
                found.present.insert(entry.path.clone());
            }
        }
        for old in before.entries().iter().filter(|old| after.get(&old.path).is_none()) {
            // What lay below something that is gone, or no directory any more, is hidden with it.
            let hidden = old
                .path
                .ancestors()
                .any(|dir| !dir.is_root() && after.get(&dir).is_none_or(|entry| !entry.is_dir()));
            if !hidden {
                found.note(&old.path);
                found.gone.push(old.path.clone());
            }
        }
        found.present.remove(&TreePath::root());
        found
    }

    /// Adds the directories on the way to something.
    fn note(&mut self, path: &TreePath) {
        self.present.extend(path.ancestors().filter(|path| !path.is_root()));
    }
}

/// Returns which of the names of a file the others are said to be links to.
fn first_name(entry: &Entry) -> &TreePath {
    match &entry.node {
        Node::HardLink { target } => target,
        _ => &entry.path,
    }
}

/// Equal in everything but the path.
fn is_same(old: &Entry, new: &Entry) -> bool {
    let directory = |node: &Node| matches!(node, Node::Dir { .. });
    let node = old.node == new.node || (directory(&old.node) && directory(&new.node));
    node && (old.mode, old.uid, old.gid, old.mtime) == (new.mode, new.uid, new.gid, new.mtime)
        && old.xattrs == new.xattrs
}
