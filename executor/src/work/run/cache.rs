//! Cache mounts: which directories a step gets, and what a fresh one holds.
//!
//! A step waits for what others have locked, and can be canceled meanwhile. All steps lock in one
//! order, so no two wait for each other; a step that mounts one cache twice locks it once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantry_cache::{CacheMount, Key, StoreError};
use gantry_solver::op::{self, Selection};
use gantry_solver::{Op, Task, TaskInput};
use gantry_tree::{Root, TreePath};

use super::super::Executor;
use super::super::fault::Fault;
use super::super::stack::Stack;
use super::bind::copied;
use super::mounts::input_of;

/// How long to wait before the first and at most between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// A cache mount of a step, before anybody has it.
struct Wanted<'t> {
    /// Where it stands among the step's mounts.
    number: usize,
    /// What it is known by: another owner, mode or seed is another cache (B5-08).
    name: String,
    id: &'t str,
    sharing: op::Sharing,
    mode: u32,
    /// As the mount says; the step's user if it says nothing.
    owner: (u32, u32),
    seed: Option<(&'t TaskInput, &'t String)>,
}

/// Who owns a cache mount: as it says, else the user of the step (G-07). Which one it is only
/// depends on what it says, so steps of several users can share one.
fn owner(uid: Option<u32>, gid: Option<u32>, user: &mut User<'_>) -> Result<(u32, u32), Fault> {
    match (uid, gid) {
        (None, None) => user.ids(),
        (uid, gid) => Ok((uid.unwrap_or(0), gid.unwrap_or(0))),
    }
}

/// The user of a step, looked up when it is needed.
pub(super) struct User<'a> {
    executor: &'a Executor,
    task: &'a Task,
    text: Option<&'a str>,
    ids: Option<(u32, u32)>,
}

impl<'a> User<'a> {
    pub(super) fn new(executor: &'a Executor, task: &'a Task, op: &'a op::RunOp) -> Self {
        Self { executor, task, text: op.user.as_deref(), ids: None }
    }

    fn ids(&mut self) -> Result<(u32, u32), Fault> {
        if let Some(ids) = self.ids {
            return Ok(ids);
        }
        let ids = match self.text.filter(|text| !text.is_empty()) {
            None => (0, 0),
            Some(text) => {
                let stack = Stack::open(&self.executor.store, &self.task.base())?;
                super::super::owner::resolve(text, &stack, self.executor)?
            }
        };
        Ok(*self.ids.insert(ids))
    }
}

/// Gets all cache directories of a step, with their places among its mounts.
pub(super) fn caches(
    executor: &Executor,
    task: &Task,
    mounts: &[op::Mount],
    user: &mut User<'_>,
) -> Result<BTreeMap<usize, Arc<CacheMount>>, Fault> {
    let mut wanted = Vec::new();
    for (number, mount) in mounts.iter().enumerate() {
        if let op::Mount::Cache { id, sharing, mode, uid, gid, seed, .. } = mount {
            let seed = match seed {
                Some((input, path)) => Some((input_of(task, *input)?, path)),
                None => None,
            };
            let from = digest(executor, seed)?;
            let [said_uid, said_gid] = [uid, gid].map(|id| id.unwrap_or(0));
            let name = format!("{id}\n{mode:o} {said_uid}:{said_gid} {from}");
            let (owner, mode, sharing) = (owner(*uid, *gid, user)?, *mode, *sharing);
            wanted.push(Wanted { number, name, id, sharing, mode, owner, seed });
        }
    }
    wanted.sort_by(|a, b| (&a.name, strength(a.sharing)).cmp(&(&b.name, strength(b.sharing))));
    let mut held = BTreeMap::new();
    let mut last: Option<(&str, Arc<CacheMount>)> = None;
    for want in &wanted {
        let mount = match &last {
            Some((name, mount)) if *name == want.name => mount.clone(),
            _ => Arc::new(acquire(executor, task, want)?),
        };
        last = Some((&want.name, mount.clone()));
        held.insert(want.number, mount);
    }
    Ok(held)
}

/// What excludes more comes first.
fn strength(sharing: op::Sharing) -> u8 {
    match sharing {
        op::Sharing::Private => 0,
        op::Sharing::Locked => 1,
        op::Sharing::Shared => 2,
    }
}

/// Identifies what a fresh cache is filled with.
fn digest(executor: &Executor, seed: Option<(&TaskInput, &String)>) -> Result<String, Fault> {
    let Some((input, path)) = seed else { return Ok(String::new()) };
    let digest = match &input.op {
        Op::Context(op) => executor.context(&op.name)?.select(&op.selection)?.digest,
        _ => executor.content_of(&input.snapshot, &Selection::of(path.as_str()))?,
    };
    Ok(Key(digest).to_string())
}

fn acquire(executor: &Executor, task: &Task, want: &Wanted<'_>) -> Result<CacheMount, Fault> {
    let sharing = match want.sharing {
        op::Sharing::Shared => gantry_cache::Sharing::Shared,
        op::Sharing::Private => gantry_cache::Sharing::Private,
        op::Sharing::Locked => gantry_cache::Sharing::Locked,
    };
    let mut failed = None;
    let mut init = |dir: &Path| -> Result<(), StoreError> {
        fill(executor, want.seed, dir, want.mode, want.owner).map_err(|fault| {
            let what = format!("fill the cache mount `{}`", want.id);
            let source = std::io::Error::other(fault.to_string());
            failed = Some(fault);
            StoreError::Io { what, source }
        })
    };
    let (mut pause, longest) = PAUSES;
    let error = loop {
        match executor.store.mounts().try_acquire(&want.name, sharing, &mut init) {
            Ok(Some(mount)) => return Ok(mount),
            Ok(None) if task.cancel.is_canceled() => return Err(Fault::Canceled),
            Ok(None) => {
                std::thread::sleep(pause);
                pause = longest.min(pause * 2);
            }
            Err(error) => break error,
        }
    };
    Err(failed.unwrap_or_else(|| error.into()))
}

fn fill(
    executor: &Executor,
    seed: Option<(&TaskInput, &String)>,
    dir: &Path,
    mode: u32,
    owner: (u32, u32),
) -> Result<(), Fault> {
    if let Some((input, path)) = seed {
        let copied = copied(executor, input, path, &dir.join("seed"))?;
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
