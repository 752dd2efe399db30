//! What a step changed in a plain directory, as the layer that overlay would have left.

use std::collections::BTreeSet;

use gantry_tree::{CopyItem, CopyPlan, Entry, Manifest, Node, Overrides, TreePath};

/// Plans a layer that turns the tree `before` into the tree `after`, whose bytes are source 0.
///
/// Directories on the way to a change are in it as they are now.
pub(in crate::work) fn plan(before: &Manifest, after: &Manifest, plan: &mut CopyPlan<'_>) {
    let mut wanted: BTreeSet<TreePath> = BTreeSet::new();
    for entry in after.entries() {
        let same = before.get(&entry.path).is_some_and(|old| {
            // Of files that were one, a name may be gone, so that another is the first now.
            let first = before.get(first_name(entry));
            let linked = first.is_some_and(|first| first_name(first) == first_name(old));
            is_same(before.real(old), after.real(entry)) && linked
        });
        if !same {
            wanted.extend(entry.path.ancestors().filter(|path| !path.is_root()));
            wanted.insert(entry.path.clone());
        }
    }
    let mut whiteouts: Vec<TreePath> = Vec::new();
    for old in before.entries().iter().filter(|old| after.get(&old.path).is_none()) {
        // What lay below something that is gone, or no directory any more, is hidden with it.
        let hidden = old
            .path
            .ancestors()
            .any(|dir| !dir.is_root() && after.get(&dir).is_none_or(|entry| !entry.is_dir()));
        if !hidden {
            wanted.extend(old.path.ancestors().filter(|path| !path.is_root()));
            whiteouts.push(old.path.clone());
        }
    }
    // The root directory is there already; its looks are the caller's business.
    wanted.remove(&TreePath::root());
    for path in &wanted {
        if let Some(entry) = after.get(path) {
            plan.add(0, after, entry, path.clone(), &Overrides::default());
        }
    }
    for path in whiteouts {
        let entry = Entry { node: Node::Whiteout, mode: 0, ..Entry::plain_dir(path) };
        plan.items.push(CopyItem { tree: 0, source: TreePath::root(), linked: false, entry });
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
    let opaque = |node: &Node| matches!(node, Node::Dir { .. });
    let node = old.node == new.node || (opaque(&old.node) && opaque(&new.node));
    node && (old.mode, old.uid, old.gid, old.mtime) == (new.mode, new.uid, new.gid, new.mtime)
        && old.xattrs == new.xattrs
}
