//! Squashing: the layers above a base as the one layer that makes the same of it.

use std::collections::HashMap;

use gantry_cache::LayerId;
use gantry_solver::Snapshot;
use gantry_tree::{CopyPlan, Entry, Follow, Manifest, Root, TreePath, View, copy};

use super::Executor;
use super::fault::Fault;
use super::run::diff;
use super::stack::Stack;

/// Commits what differs between the first `base` layers of a snapshot and all of it.
pub(crate) fn squash(
    executor: &Executor,
    snapshot: &Snapshot,
    base: usize,
) -> Result<LayerId, Fault> {
    let below: Snapshot = snapshot.layers().iter().take(base).copied().collect();
    let (before, stack) =
        (Stack::open(&executor.store, &below)?, Stack::open(&executor.store, snapshot)?);
    let (before, view) = (before.view().flatten(), stack.view());
    let after = view.flatten();
    let mut plan = CopyPlan {
        dialect: executor.dialect(),
        keep_owner: executor.single_id(),
        trust_contents: true,
        ..CopyPlan::default()
    };
    diff::plan(&before, &after, &mut plan);
    let roots = sources(executor, &stack, &view, &mut plan)?;
    let sources: Vec<&Root> = roots.iter().collect();
    let work = executor.store.work_dir()?;
    let upper = Root::open(work.upper())?;
    super::root_dir::imitate(&upper, &view, executor.single_id())?;
    let mut changes = copy(&sources, &upper, &plan)?.manifest;
    if let Some(root) = changed_root(&before, &after) {
        let mut entries = changes.into_entries();
        entries.push(root);
        changes = Manifest::new(entries)?;
    }
    Ok(executor.store.layers().commit_tree(&work.upper(), &changes)?)
}

/// The root directory, if a step changed its looks.
fn changed_root(before: &Manifest, after: &Manifest) -> Option<Entry> {
    let root = TreePath::root();
    let now = after.get(&root)?;
    let looks = |entry: &Entry| (entry.mode, entry.uid, entry.gid, entry.xattrs.clone());
    before.get(&root).is_none_or(|then| looks(then) != looks(now)).then(|| now.clone())
}

/// Says of every item from which layer's tree its bytes come, and opens those trees.
fn sources(
    executor: &Executor,
    stack: &Stack,
    view: &View<'_>,
    plan: &mut CopyPlan<'_>,
) -> Result<Vec<Root>, Fault> {
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    let mut roots = Vec::new();
    for item in plan.items.iter_mut().filter(|item| item.entry.content().is_some()) {
        let Some(found) = view.lookup(&item.source, Follow::Parents) else { continue };
        let real: TreePath = view.real(found).path.clone();
        let number = match numbers.get(&found.0) {
            Some(number) => *number,
            None => {
                roots.push(stack.root(found.0, executor)?);
                numbers.insert(found.0, roots.len() - 1);
                roots.len() - 1
            }
        };
        (item.tree, item.source) = (number, real);
    }
    Ok(roots)
}
