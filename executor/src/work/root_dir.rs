//! The root directory itself, which overlay takes from the uppermost layer.
//!
//! A fresh upper therefore has to look like the root below it, or `chmod 700 /` in one step would
//! be undone by the next.

use gantry_image::layer::root_looks;
use gantry_sandbox::Lower;
use gantry_tree::{Entry, Follow, Root, Stat, TreePath, View};

use super::fault::Fault;

/// Gives the root of a fresh layer the looks of the root that it is laid upon.
pub(super) fn imitate(upper: &Root, below: &View<'_>, single_id: bool) -> Result<(), Fault> {
    let root = TreePath::root();
    let Some((_, entry)) = below.lookup(&root, Follow::Parents) else { return Ok(()) };
    apply(upper, entry.mode, (entry.uid, entry.gid), single_id)
}

/// The same, where the layer below is there in a form that can be mounted.
pub(super) fn imitate_lower(upper: &Root, below: &Lower, single_id: bool) -> Result<(), Fault> {
    let looks = |root: Root| -> Result<_, Fault> {
        let stat = root.stat(&TreePath::root(), Follow::Parents)?;
        Ok((stat.mode, stat.uid, stat.gid))
    };
    let (mode, uid, gid) = match below {
        Lower::Tree(tree) => looks(Root::open(tree)?)?,
        Lower::Mounted(mounted) => looks(super::stack::root_of(mounted)?)?,
        Lower::Index { index, .. } => fs_err::File::open(index)
            .and_then(|index| root_looks(index.file()))
            .map_err(Fault::io("read a layer's index"))?,
    };
    apply(upper, mode, (uid, gid), single_id)
}

fn apply(upper: &Root, mode: u32, owner: (u32, u32), single_id: bool) -> Result<(), Fault> {
    let root = TreePath::root();
    let now = upper.stat(&root, Follow::Parents)?;
    if (now.uid, now.gid) != owner && !single_id {
        upper.set_owner(&root, owner.0, owner.1)?;
    }
    if now.mode != mode {
        upper.set_mode(&root, mode)?;
    }
    Ok(())
}

/// Says whether a step changed the root directory, so that its layer has to list it.
pub(super) fn changed(entry: &Entry, before: &Stat) -> bool {
    (entry.mode, entry.uid, entry.gid) != (before.mode, before.uid, before.gid)
        || !entry.xattrs.is_empty()
}
