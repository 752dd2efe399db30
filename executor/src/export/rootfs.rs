//! The root filesystem of the result, as a directory or as one tar.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;

use gantry_image::layer;
use gantry_solver::Snapshot;
use gantry_tree::{CopyPlan, Dialect, Entry, Existing, Follow, Overrides, Root, TreePath, copy};

use super::ExportError;
use crate::work::{Executor, Stack, tree};

/// Writes all files into a directory, owned by the caller.
///
/// Links that are there already are replaced or refused, never followed.
pub(super) fn local(
    executor: &Executor,
    snapshot: &Snapshot,
    dest: &Path,
) -> Result<(), ExportError> {
    super::dest::check_directory(dest)?;
    let what = format!("create `{}`", dest.display());
    fs_err::create_dir_all(dest).map_err(ExportError::io(what))?;
    let stack = Stack::open(&executor.store, snapshot)?;
    let view = stack.view();
    let mut plan = CopyPlan {
        existing: Existing::Replace,
        dialect: Dialect::Plain,
        keep_owner: true,
        trust_contents: true,
        ..CopyPlan::default()
    };
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    let mut roots: Vec<Root> = Vec::new();
    for (layer, entry) in view.walk(&TreePath::root()) {
        if entry.path.is_root() {
            continue;
        }
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
        let manifest = stack.manifest(layer);
        plan.add(number, manifest, entry, entry.path.clone(), &Overrides::default());
    }
    let sources: Vec<&Root> = roots.iter().collect();
    copy(&sources, &Root::open(dest)?, &plan)?;
    Ok(())
}

/// Writes all files as one tar, with the owners that they have in the image.
pub(super) fn tar(
    executor: &Executor,
    snapshot: &Snapshot,
    clamp: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let stack = Stack::open(&executor.store, snapshot)?;
    let view = stack.view();
    let manifest = view.flatten();
    let mut roots: HashMap<usize, Root> = HashMap::new();
    let mut open = |entry: &Entry| -> io::Result<Box<dyn Read>> {
        let gone = || io::Error::other(format!("`{}` is in no layer", entry.path));
        let found = view.lookup(&entry.path, Follow::Parents).ok_or_else(gone)?;
        let real = view.real(found);
        let root = match roots.entry(found.0) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(open_layer(executor, &stack, found.0).map_err(io::Error::other)?)
            }
        };
        let file = root.open_file(&real.path, Follow::Parents).map_err(io::Error::other)?;
        Ok(Box::new(file))
    };
    Ok(layer::write_tar(&manifest, &mut open, clamp, out)?)
}

fn open_layer(executor: &Executor, stack: &Stack, layer: usize) -> Result<Root, ExportError> {
    let path = tree(&executor.store, stack.id(layer), &executor.unpack)?;
    Ok(Root::open(path)?)
}
