//! Bind mounts: what of the host shows files of a stage, an image or a context.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_sandbox::{BindSource, Lower, mount_part};
use gantry_solver::op::Selection;
use gantry_solver::{Op, TaskInput};
use gantry_tree::{Entry, Follow, Node, TreePath};

use super::super::fault::Fault;
use super::super::stack::Stack;
use super::super::{Executor, merge, select};
use crate::request::Snapshotter;

/// Finds or makes what a bind mount is to show.
///
/// A file or directory that lies whole in one layer is shown from there; all else is copied
/// together first. What may be written to is always a copy, so that writes are lost (B5-03).
pub(super) fn bind(
    executor: &Executor,
    input: &TaskInput,
    source: &str,
    read_only: bool,
    scratch: &Path,
) -> Result<BindSource, Fault> {
    if read_only && !matches!(input.op, Op::Context(_)) {
        let stack = Stack::open(&executor.store, &input.snapshot)?;
        let from = merge::locate(&stack, source)?.ok_or_else(|| not_found(source))?;
        if let Some(layer) = whole(&stack, &from)
            && let Some(found) = in_layer(executor, &stack, layer, &from)?
        {
            return Ok(found);
        }
    }
    copied(executor, input, source, scratch).map(BindSource::Path)
}

/// Shows a file or directory of a layer where it is, if that can be bound.
fn in_layer(
    executor: &Executor,
    stack: &Stack,
    layer: usize,
    from: &TreePath,
) -> Result<Option<BindSource>, Fault> {
    let root = match executor.lower(stack.id(layer))? {
        Lower::Tree(tree) => return Ok(Some(BindSource::Path(tree.join(from.as_path())))),
        Lower::Index { .. } | Lower::Mounted(_) => stack.root(layer, executor)?,
    };
    let manifest = stack.manifest(layer);
    let file: OwnedFd = match manifest.get(from).map(|entry| &manifest.real(entry).node) {
        None | Some(Node::Dir { .. }) => {
            let dir = root.open_in(from)?;
            dir.as_fd().try_clone_to_owned().map_err(Fault::io("keep a layer open"))?
        }
        Some(Node::File { .. }) => root.open_file(from, Follow::Parents)?.into(),
        Some(_) => return Ok(None),
    };
    // Where the kernel can't, the files are copied.
    let can = executor.snapshotter != Snapshotter::Attached;
    let part = can.then(|| mount_part(file.as_fd()).ok()).flatten();
    Ok(part.map(|mount| BindSource::Fd(Arc::new(mount))))
}

fn not_found(source: &str) -> Fault {
    Fault::refused_with(
        format!("\"/{source}\": not found"),
        "`source` begins at the root of the context, stage or image",
    )
}

/// Copies what is to be shown into `scratch`, and returns where it lies.
pub(super) fn copied(
    executor: &Executor,
    input: &TaskInput,
    source: &str,
    scratch: &Path,
) -> Result<PathBuf, Fault> {
    let not_found = || not_found(source);
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
