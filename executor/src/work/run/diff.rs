//! What a step changed in a plain directory, as the layer that overlay would have left.

use gantry_tree::{CopyItem, CopyPlan, Difference, Entry, Manifest, Node, Overrides, TreePath};

/// Plans a layer that turns the tree `before` into the tree `after`, whose bytes are source 0.
///
/// Directories on the way to a change are in it as they are now.
pub(in crate::work) fn plan(before: &Manifest, after: &Manifest, plan: &mut CopyPlan<'_>) {
    let difference = Difference::between(before, after);
    for path in &difference.present {
        if let Some(entry) = after.get(path) {
            plan.add(0, after, entry, path.clone(), &Overrides::default());
        }
    }
    for path in difference.gone {
        let entry = Entry { node: Node::Whiteout, mode: 0, ..Entry::plain_dir(path) };
        plan.items.push(CopyItem { tree: 0, source: TreePath::root(), linked: false, entry });
    }
}
