//! The root filesystem of the result, as a directory or as one tar.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;

use gantry_cache::LayerId;
use gantry_image::{Platform, layer};
use gantry_solver::Snapshot;
use gantry_tree::{
    CopyPlan, Dialect, Entry, Existing, FileKind, Follow, Manifest, Node, Overrides, Root,
    TreePath, View, copy,
};

use super::ExportError;
use super::statements::Written;
use crate::work::{Executor, Stack, open};

/// Writes all files at and below `from` into a directory, owned by the caller. A single file keeps
/// its name.
///
/// Links that are there already are replaced or refused, never followed.
pub(crate) fn local(
    executor: &Executor,
    snapshot: &Snapshot,
    from: &TreePath,
    dest: &Path,
) -> Result<(), ExportError> {
    super::dest::check_directory(dest)?;
    let what = format!("create `{}`", dest.display());
    fs_err::create_dir_all(dest).map_err(ExportError::io(what))?;
    let stack = Stack::open(&executor.store, snapshot)?;
    let view = stack.view();
    let strip = base_of(&view, from);
    let mut plan = CopyPlan {
        existing: Existing::Replace,
        dialect: Dialect::Plain,
        keep_owner: true,
        trust_contents: true,
        ..CopyPlan::default()
    };
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    let mut roots: Vec<Root> = Vec::new();
    for (layer, entry) in view.walk(from) {
        let Some(below) = entry.path.strip_prefix(&strip).filter(|below| !below.is_root()) else {
            continue;
        };
        let real = view.real((layer, entry));
        let mut number = 0;
        if real.content().is_some() {
            number = match numbers.get(&layer) {
                Some(number) => *number,
                None => {
                    roots.push(open_layer(executor, &stack, layer)?);
                    numbers.insert(layer, roots.len() - 1);
                    roots.len() - 1
                }
            };
        }
        plan.add(number, stack.manifest(layer), entry, below, &Overrides::default());
    }
    let sources: Vec<&Root> = roots.iter().collect();
    copy(&sources, &Root::open(dest)?, &plan)?;
    Ok(())
}

/// Deletes what lies in a directory and is in none of the snapshots (`mode=delete`).
pub(super) fn delete_others(
    executor: &Executor,
    snapshots: &[&Snapshot],
    dest: &Path,
) -> Result<(), ExportError> {
    if !dest.is_dir() {
        return Ok(());
    }
    // What is wanted, and whether as a directory.
    let mut wanted: HashMap<TreePath, bool> = HashMap::new();
    for snapshot in snapshots {
        let stack = Stack::open(&executor.store, snapshot)?;
        let view = stack.view();
        let all = view.walk(&TreePath::root());
        wanted.extend(all.iter().map(|(_, entry)| (entry.path.clone(), entry.is_dir())));
    }
    let root = Root::open(dest)?;
    let mut directories = vec![TreePath::root()];
    while let Some(directory) = directories.pop() {
        for found in root.read_dir(&directory, Follow::Parents)? {
            let Ok(path) = directory.join(&found.name) else { continue };
            let is_dir = root.stat(&path, Follow::Parents)?.kind == FileKind::Dir;
            match wanted.get(&path) {
                Some(true) if is_dir => directories.push(path),
                Some(false) if !is_dir => {}
                _ => root.remove_all(&path)?,
            }
        }
    }
    Ok(())
}

/// Refuses several platforms whose files would overwrite each other.
pub(super) fn check_apart(
    executor: &Executor,
    snapshots: &[(&Platform, &Snapshot)],
) -> Result<(), ExportError> {
    let mut known: HashMap<TreePath, &Platform> = HashMap::new();
    for (platform, snapshot) in snapshots {
        let stack = Stack::open(&executor.store, snapshot)?;
        let view = stack.view();
        for (_, entry) in view.walk(&TreePath::root()) {
            if entry.is_dir() {
                continue;
            }
            if let Some(other) = known.insert(entry.path.clone(), platform) {
                return Err(ExportError::Refused(format!(
                    "cannot overwrite {} from {other} with {platform} when split option is \
                     disabled",
                    entry.path
                )));
            }
        }
    }
    Ok(())
}

/// A root filesystem, and the directory of the tar that it comes to lie in.
pub(super) type Placed<'a> = (Option<String>, &'a Snapshot);

/// Writes all files as one tar, with the owners that they have in the image.
pub(super) fn tar(
    executor: &Executor,
    placed: &[Placed<'_>],
    beside: &[Written],
    clamp: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut stacks = Vec::new();
    for (directory, snapshot) in placed {
        let below = TreePath::clamp(directory.as_deref().unwrap_or_default());
        let below = below.map_err(|error| ExportError::Refused(error.to_string()))?;
        stacks.push((below, Stack::open(&executor.store, snapshot)?));
    }
    let mut entries = Vec::new();
    for (below, stack) in &stacks {
        let own = stack.view().flatten().into_entries();
        if !below.is_root() && own.first().is_none_or(|first| !first.path.is_root()) {
            entries.push(Entry::plain_dir(below.clone()));
        }
        entries.extend(own.into_iter().map(|entry| moved(entry, below)));
    }
    entries.extend(beside.iter().map(Written::entry));
    let manifest =
        Manifest::new(entries).map_err(|error| ExportError::Refused(error.to_string()))?;
    let mut roots: HashMap<LayerId, Root> = HashMap::new();
    let mut open = |entry: &Entry| -> io::Result<Box<dyn Read>> {
        if let Some(written) = beside.iter().find(|written| written.path == entry.path) {
            return Ok(Box::new(io::Cursor::new(written.bytes.clone())));
        }
        let gone = || io::Error::other(format!("`{}` is in no layer", entry.path));
        let (stack, path) = stacks
            .iter()
            .find_map(|(below, stack)| Some((stack, entry.path.strip_prefix(below)?)))
            .ok_or_else(gone)?;
        let view = stack.view();
        let found = view.lookup(&path, Follow::Parents).ok_or_else(gone)?;
        let real = view.real(found);
        let root = match roots.entry(*stack.id(found.0)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(open_layer(executor, stack, found.0).map_err(io::Error::other)?)
            }
        };
        let file = root.open_file(&real.path, Follow::Parents).map_err(io::Error::other)?;
        Ok(Box::new(file))
    };
    Ok(layer::write_tar(&manifest, &mut open, clamp, out)?)
}

/// Writes what lies at and below `from` as a tar.
pub(crate) fn tar_of(
    executor: &Executor,
    snapshot: &Snapshot,
    from: &TreePath,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let stack = Stack::open(&executor.store, snapshot)?;
    let view = stack.view();
    let strip = base_of(&view, from);
    let mut entries = Vec::new();
    let mut sources: HashMap<TreePath, (usize, TreePath)> = HashMap::new();
    for (layer, entry) in view.walk(from) {
        let Some(below) = entry.path.strip_prefix(&strip).filter(|below| !below.is_root()) else {
            continue;
        };
        let real = view.real((layer, entry));
        sources.insert(below.clone(), (layer, real.path.clone()));
        // The other names of a file may lie elsewhere, so each stands for itself.
        entries.push(Entry { path: below, ..real.clone() });
    }
    let manifest =
        Manifest::new(entries).map_err(|error| ExportError::Refused(error.to_string()))?;
    let mut open = |entry: &Entry| -> io::Result<Box<dyn Read>> {
        let gone = || io::Error::other(format!("`{}` is in no layer", entry.path));
        let (layer, path) = sources.get(&entry.path).ok_or_else(gone)?;
        let root = open_layer(executor, &stack, *layer).map_err(io::Error::other)?;
        Ok(Box::new(root.open_file(path, Follow::Parents).map_err(io::Error::other)?))
    };
    Ok(layer::write_tar(&manifest, &mut open, None, out)?)
}

/// The same entry below a directory.
fn moved(entry: Entry, below: &TreePath) -> Entry {
    if below.is_root() {
        return entry;
    }
    let node = match entry.node {
        Node::HardLink { target } => Node::HardLink { target: below.join_path(&target) },
        node => node,
    };
    Entry { path: below.join_path(&entry.path), node, ..entry }
}

/// What is taken off the paths below `from`: itself, or of a file its directory.
fn base_of(view: &View<'_>, from: &TreePath) -> TreePath {
    let is_file = view.lookup(from, Follow::Parents).is_some_and(|(_, entry)| !entry.is_dir());
    match from.parent() {
        Some(parent) if is_file => parent,
        _ => from.clone(),
    }
}

pub(super) fn open_layer(
    executor: &Executor,
    stack: &Stack,
    layer: usize,
) -> Result<Root, ExportError> {
    open(executor, stack.id(layer)).map_err(|fault| ExportError::Image {
        what: format!("open the layer `{}`", stack.id(layer)),
        source: Some(Box::new(fault)),
    })
}
