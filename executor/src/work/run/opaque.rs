//! Opaque directories of an upper directory, spelt out as whiteouts.
//!
//! Overlay marks a directory that was removed and made again, whether something lay in it or not.
//! The layer says instead what is gone: it is then the same as the copying fall-back's, and as
//! every reader of layers understands it.

use gantry_image::layer::expand_opaque;
use gantry_solver::Snapshot;
use gantry_tree::{Dialect, Manifest, Node, Root};

use super::super::Executor;
use super::super::fault::Fault;
use super::super::stack::Stack;

/// Returns `manifest` without opaque marks, and takes them out of the tree at `upper`, that it was
/// read from. What is below is `base`.
pub(super) fn spell_out(
    executor: &Executor,
    base: &Snapshot,
    upper: &Root,
    manifest: Manifest,
) -> Result<Manifest, Fault> {
    let marked = |node: &Node| matches!(node, Node::Dir { opaque: true });
    if !manifest.entries().iter().any(|entry| marked(&entry.node)) {
        return Ok(manifest);
    }
    let stack = Stack::open(&executor.store, base)?;
    let spelt = expand_opaque(&manifest, &stack.view())?;
    for entry in spelt.entries().iter().filter(|entry| manifest.get(&entry.path).is_none()) {
        upper.whiteout(&entry.path)?;
    }
    let mark: Option<&[u8]> = match executor.dialect() {
        Dialect::Plain => None,
        Dialect::OverlayTrusted => Some(b"trusted.overlay.opaque"),
        Dialect::OverlayUser => Some(b"user.overlay.opaque"),
    };
    let directories = manifest.entries().iter().filter(|entry| entry.is_dir());
    for entry in directories.filter(|entry| !entry.path.is_root()) {
        if let (true, Some(mark)) = (marked(&entry.node), mark) {
            upper.remove_xattr(&entry.path, mark)?;
        }
        // Whiteouts in it have changed it.
        upper.set_mtime(&entry.path, entry.mtime)?;
    }
    Ok(spelt)
}
