//! Files of a step that failed, such as a test's reports, written out before they are thrown away
//! (F8).

use std::sync::PoisonError;

use gantry_cache::WorkDir;
use gantry_solver::{Snapshot, Task};
use gantry_tree::TreePath;

use super::super::merge::locate;
use super::super::stack::{Stack, layer_ref};
use super::super::{Executor, fault::Fault};
use super::rootfs::RootFs;
use crate::export::{ExportError, Target, rootfs};
use crate::request::{Dest, OnFail};

/// Keeps what was asked for; that it can't is a warning, for the step has failed already.
///
/// Of steps that fail at the same time, the first one's files are kept.
pub(super) fn keep(executor: &Executor, task: &Task, root: RootFs, work: &WorkDir) {
    let wanted = executor.on_fail.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(wanted) = wanted else { return };
    match write(executor, task, root, work, &wanted) {
        Ok(true) => {}
        Ok(false) => {
            let message = format!("The failed step has no `{}` to keep", wanted.src);
            task.events.warn(message);
        }
        Err(error) => {
            let message = format!("Failed to keep `{}` of the failed step: {error}", wanted.src);
            task.events.warn(message);
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Export(#[from] ExportError),
}

fn write(
    executor: &Executor,
    task: &Task,
    root: RootFs,
    work: &WorkDir,
    wanted: &OnFail,
) -> Result<bool, KeepError> {
    let base = task.base();
    let layer = root.commit(executor, &base, work)?;
    let snapshot: Snapshot = base.layers().iter().copied().chain([layer_ref(&layer)]).collect();
    let stack = Stack::open(&executor.store, &snapshot).map_err(Fault::from)?;
    let from: Option<TreePath> = locate(&stack, &wanted.src)?;
    let Some(from) = from else { return Ok(false) };
    if wanted.tar {
        let mut target = Target::open(Dest::File(wanted.dest.clone()))?;
        rootfs::tar_of(executor, &snapshot, &from, &mut target)?;
        target.finish()?;
    } else {
        rootfs::local(executor, &snapshot, &from, &wanted.dest)?;
    }
    Ok(true)
}
