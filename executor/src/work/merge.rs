//! Merging: a stack of layers as one plain directory, for where no mount will do.
//!
//! Used by the copying fall-back, for stacks that are too deep for overlay, and for files that are
//! bound into a step from several layers.

use std::path::Path;

use gantry_tree::{CopyItem, CopyPlan, Dialect, Follow, Manifest, Overrides, Root, TreePath, copy};

use super::Executor;
use super::fault::Fault;
use super::stack::Stack;

/// Writes what `stack` shows at and below `from` into the empty directory `dest`, and returns a
/// manifest of that. A file at `from` becomes `dest/<its name>`.
pub(super) fn merge(
    executor: &Executor,
    stack: &Stack,
    from: &TreePath,
    dest: &Path,
) -> Result<Manifest, Fault> {
    let view = stack.view();
    let found = view.walk(from);
    let is_file = found.first().is_some_and(|(_, entry)| entry.path == *from && !entry.is_dir());
    let strip = if is_file { from.parent().unwrap_or_else(TreePath::root) } else { from.clone() };
    let mut plan = base_plan(executor);
    let mut numbers: Vec<Option<usize>> = vec![None; stack.len()];
    let mut roots = Vec::new();
    for (layer, entry) in found {
        let real = view.real((layer, entry));
        let mut tree = 0;
        if real.content().is_some() {
            tree = match numbers[layer] {
                Some(number) => number,
                None => {
                    roots.push(stack.root(layer, executor)?);
                    *numbers[layer].insert(roots.len() - 1)
                }
            };
        }
        let Some(below) = entry.path.strip_prefix(&strip) else { continue };
        plan.add(tree, stack.manifest(layer), entry, below, &Overrides::default());
    }
    finish(executor, plan, &roots, dest)
}

/// Writes the files of a context's selection below `from` into the empty directory `dest`.
pub(super) fn merge_context(
    executor: &Executor,
    root: &Root,
    manifest: &Manifest,
    from: &TreePath,
    dest: &Path,
) -> Result<Manifest, Fault> {
    let is_file = manifest.get(from).is_some_and(|entry| !entry.is_dir());
    let strip = if is_file { from.parent().unwrap_or_else(TreePath::root) } else { from.clone() };
    let mut plan = CopyPlan { trust_contents: false, ..base_plan(executor) };
    for entry in manifest.subtree(from) {
        let Some(below) = entry.path.strip_prefix(&strip) else { continue };
        plan.add(0, manifest, entry, below, &Overrides::default());
    }
    finish(executor, plan, std::slice::from_ref(root), dest)
}

fn base_plan(executor: &Executor) -> CopyPlan<'static> {
    CopyPlan {
        dialect: Dialect::Plain,
        keep_owner: executor.single_id(),
        trust_contents: true,
        ..CopyPlan::default()
    }
}

fn finish(
    executor: &Executor,
    mut plan: CopyPlan<'_>,
    roots: &[Root],
    dest: &Path,
) -> Result<Manifest, Fault> {
    let upper = Root::open(dest)?;
    // The directory itself is there already and only takes on looks.
    let is_root = |item: &CopyItem| item.entry.path.is_root();
    if let Some(at) = plan.items.iter().position(is_root) {
        let entry = plan.items.swap_remove(at).entry;
        let root = TreePath::root();
        if !executor.single_id() {
            upper.set_owner(&root, entry.uid, entry.gid)?;
        }
        upper.set_mode(&root, entry.mode)?;
    }
    let sources: Vec<&Root> = roots.iter().collect();
    Ok(copy(&sources, &upper, &plan)?.manifest)
}

/// Where a path of a stack leads, links followed; `None` if nothing is there.
pub(super) fn locate(stack: &Stack, path: &str) -> Result<Option<TreePath>, Fault> {
    let written = super::select::clamp(path)?;
    let resolved = stack.view().resolve(&written, Follow::Last)?;
    Ok((resolved.found.is_some() || resolved.path.is_root()).then_some(resolved.path))
}
