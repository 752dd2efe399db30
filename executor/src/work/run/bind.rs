//! Bind mounts: a path of the host that shows files of a stage, an image or a context.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_solver::op::Selection;
use gantry_solver::{Op, TaskInput};
use gantry_tree::{Entry, Follow, Node, TreePath};

use super::super::fault::Fault;
use super::super::stack::{Stack, tree};
use super::super::{Executor, merge, select};

/// Finds or makes a path of the host that shows what a bind mount is to show.
///
/// A file or directory that lies whole in one layer is shown from there; all else is copied
/// together first. What may be written to is always a copy, so that writes are lost (B5-03).
pub(super) fn bind(
    executor: &Executor,
    input: &TaskInput,
    source: &str,
    read_only: bool,
    scratch: &Path,
) -> Result<PathBuf, Fault> {
    let not_found = || {
        Fault::refused_with(
            format!("\"/{source}\": not found"),
            "`source` begins at the root of the context, stage or image",
        )
    };
    if let Op::Context(op) = &input.op {
        let context = executor.context(&op.name)?;
        let selected = context.select(&op.selection)?;
        let from = own_path(&selected.chosen, &op.selection, source).ok_or_else(not_found)?;
        make(scratch)?;
        let root = context.root();
        merge::merge_context(executor, root, selected.manifest(), &from, scratch)?;
        let is_dir = from.is_root() || selected.manifest().get(&from).is_some_and(|e| e.is_dir());
        return Ok(shown(scratch, &from, is_dir));
    }
    let stack = Stack::open(&executor.store, &input.snapshot)?;
    let from = merge::locate(&stack, source)?.ok_or_else(not_found)?;
    if read_only && let Some(layer) = whole(&stack, &from) {
        let root = tree(&executor.store, stack.id(layer), &executor.unpack)?;
        return Ok(root.join(from.as_path()));
    }
    make(scratch)?;
    merge::merge(executor, &stack, &from, scratch)?;
    let is_dir = from.is_root()
        || stack.view().lookup(&from, Follow::Parents).is_some_and(|(_, e)| e.is_dir());
    Ok(shown(scratch, &from, is_dir))
}

fn shown(scratch: &Path, from: &TreePath, is_dir: bool) -> PathBuf {
    match from.file_name() {
        Some(name) if !is_dir => scratch.join(OsStr::from_bytes(name)),
        _ => scratch.to_path_buf(),
    }
}

fn own_path(chosen: &[select::Chosen], selection: &Selection, source: &str) -> Option<TreePath> {
    let number = selection.paths.iter().position(|path| path.pattern == source)?;
    chosen.iter().find(|one| one.source == number).map(|one| one.path.clone())
}

/// The one layer that holds all there is at and below `path`, and nothing besides.
fn whole(stack: &Stack, path: &TreePath) -> Option<usize> {
    let view = stack.view();
    let found = view.walk(path);
    let (layer, _) = *found.first()?;
    let own = stack.manifest(layer).subtree(path);
    let same = found.len() == own.len()
        && found
            .iter()
            .zip(own)
            .all(|((from, entry), own)| *from == layer && entry.path == own.path && is_plain(own));
    same.then_some(layer)
}

/// Not something that only overlay would show as what it is.
fn is_plain(entry: &Entry) -> bool {
    !matches!(entry.node, Node::Whiteout | Node::Dir { opaque: true })
}

fn make(dir: &Path) -> Result<(), Fault> {
    fs_err::create_dir(dir).map_err(Fault::io("make a directory for a mount"))
}
