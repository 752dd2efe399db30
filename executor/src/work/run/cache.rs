//! Cache mounts: which directory a step gets, and what a fresh one holds.

use std::path::Path;

use gantry_cache::{CacheMount, Key, StoreError};
use gantry_solver::op::{self, Selection};
use gantry_solver::{Op, Task, TaskInput};
use gantry_tree::{Root, TreePath};

use super::super::Executor;
use super::super::fault::Fault;
use super::bind::bind;
use super::mounts::input_of;

/// Gets a cache directory, which other steps and builds keep filling.
pub(super) fn cache(
    executor: &Executor,
    task: &Task,
    mount: &op::Mount,
    sharing: gantry_cache::Sharing,
) -> Result<CacheMount, Fault> {
    let op::Mount::Cache { id, mode, uid, gid, seed, .. } = mount else {
        return Err(Fault::refused("Not a cache mount"));
    };
    let seed = match seed {
        Some((input, path)) => Some((input_of(task, *input)?, path)),
        None => None,
    };
    let from = match seed {
        None => String::new(),
        Some((input, path)) => {
            let digest = match &input.op {
                Op::Context(op) => executor.context(&op.name)?.select(&op.selection)?.digest,
                _ => executor.content_of(&input.snapshot, &Selection::of(path.as_str()))?,
            };
            Key(digest).to_string()
        }
    };
    // Another owner, mode or seed is another cache (B5-08).
    let name = format!("{id}\n{mode:o} {uid}:{gid} {from}");
    let mut failed = None;
    let mut init = |dir: &Path| -> Result<(), StoreError> {
        fill(executor, seed, dir, *mode, (*uid, *gid)).map_err(|fault| {
            let what = format!("fill the cache mount `{id}`");
            let source = std::io::Error::other(fault.to_string());
            failed = Some(fault);
            StoreError::Io { what, source }
        })
    };
    let acquired = executor.store.mounts().acquire(&name, sharing, &mut init);
    match (acquired, failed) {
        (Ok(mount), _) => Ok(mount),
        (Err(_), Some(fault)) => Err(fault),
        (Err(error), None) => Err(error.into()),
    }
}

fn fill(
    executor: &Executor,
    seed: Option<(&TaskInput, &String)>,
    dir: &Path,
    mode: u32,
    owner: (u32, u32),
) -> Result<(), Fault> {
    if let Some((input, path)) = seed {
        let copied = bind(executor, input, path, false, &dir.join("seed"))?;
        // What was copied into a directory of its own comes up one step.
        for entry in fs_err::read_dir(&copied).map_err(Fault::io("fill a cache mount"))? {
            let entry = entry.map_err(Fault::io("fill a cache mount"))?;
            let to = dir.join(entry.file_name());
            fs_err::rename(entry.path(), to).map_err(Fault::io("fill a cache mount"))?;
        }
        let _ = fs_err::remove_dir(dir.join("seed"));
    }
    let root = Root::open(dir)?;
    if !executor.single_id() {
        root.set_owner(&TreePath::root(), owner.0, owner.1)?;
    }
    Ok(root.set_mode(&TreePath::root(), mode)?)
}
