//! WORKDIR: a directory made if it is missing, as one layer (an empty one if it is there).

use gantry_solver::op::MakeDirOp;
use gantry_solver::{Done, Task};
use gantry_tree::{CopyPlan, Entry, Follow, Manifest, Node, Root, TreePath, View, copy};

use super::copy::now;
use super::fault::Fault;
use super::stack::{Stack, layer_ref};
use super::{Executor, owner, root_dir, select};

/// Carries it out.
pub(super) fn execute(executor: &Executor, task: &Task, op: &MakeDirOp) -> Result<Done, Fault> {
    let stack = Stack::open(&executor.store, &task.base())?;
    let view = stack.view();
    let resolved = view
        .resolve(&select::clamp(&op.path)?, Follow::Last)
        .map_err(|_| not_a_directory(&op.path))?;
    let work = executor.store.work_dir()?;
    let upper = Root::open(work.upper())?;
    root_dir::imitate(&upper, &view, executor.single_id())?;
    let manifest = match resolved.found {
        Some((_, entry)) if !entry.is_dir() => return Err(not_a_directory(&op.path)),
        Some(_) => Manifest::default(),
        None if resolved.path.is_root() => Manifest::default(),
        None => {
            let (uid, gid) = match &op.user {
                Some(user) => owner::resolve(user, &stack, executor)?,
                None => (0, 0),
            };
            let mtime = now();
            let new = |path| Entry { mode: op.mode, uid, gid, mtime, ..Entry::plain_dir(path) };
            make_as(executor, &view, &upper, &resolved.path, &new)?
        }
    };
    let id = executor.store.layers().commit_tree(&work.upper(), &manifest)?;
    Ok(Done { own: vec![layer_ref(&id)] })
}

fn make_as(
    executor: &Executor,
    view: &View<'_>,
    dest: &Root,
    path: &TreePath,
    new: &dyn Fn(TreePath) -> Entry,
) -> Result<Manifest, Fault> {
    let mut ways: Vec<TreePath> = path.ancestors().filter(|way| !way.is_root()).collect();
    ways.push(path.clone());
    ways.sort();
    ways.dedup();
    let mut plan = CopyPlan {
        keep_owner: executor.single_id(),
        dialect: executor.dialect(),
        workers: 1,
        ..CopyPlan::default()
    };
    for way in ways {
        let entry = match view.lookup(&way, Follow::Parents) {
            Some((_, entry)) if entry.is_dir() => {
                let mtime = entry.mtime.whole();
                Entry { node: Node::Dir { opaque: false }, mtime, ..entry.clone() }
            }
            Some(_) => return Err(not_a_directory(&format!("/{way}"))),
            None => new(way),
        };
        plan.add_dir(entry);
    }
    Ok(copy(&[], dest, &plan)?.manifest)
}

fn not_a_directory(path: &str) -> Fault {
    Fault::refused_with(
        format!("cannot mkdir {path}: not a directory"),
        "There is a file; choose another path, or remove the file before",
    )
}
