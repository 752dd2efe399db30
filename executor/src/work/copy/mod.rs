//! COPY and ADD: files put into a root filesystem, as one fresh layer, without mounting anything.
//!
//! ```text
//! source   what the items take: files of a context, of layers, of a download, of a heredoc
//! place    where each of them comes to lie, and what is in its way
//! tar      the layer as a tar with its index, where that can be mounted
//! archive  telling an archive by its bytes, and unpacking it
//! ```

mod archive;
mod place;
mod source;
mod tar;

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_solver::op::{CopyItem, CopyOp};
use gantry_solver::{Done, Task};
use gantry_tree::{Chmod, Donor, Overrides, Root, Time, copy};

pub(crate) use self::archive::is_header as is_tar_header;
pub(super) use self::tar::open as open_tar;

use self::place::Placer;
use self::source::Sources;
use super::fault::Fault;
use super::stack::{Stack, layer_ref};
use super::{Executor, owner};

/// Carries a copy out.
pub(super) fn execute(executor: &Executor, task: &Task, op: &CopyOp) -> Result<Done, Fault> {
    let base = task.base();
    let stack = Stack::open(&executor.store, &base)?;
    let work = executor.store.work_dir()?;
    let overrides = overrides(executor, op, &stack)?;
    let mut placer = Placer::new(stack.view(), overrides, now());
    let mut sources = Sources::new(executor, task, work.scratch());
    let dest = placer.dest(&op.dest)?;
    for item in &op.items {
        if task.cancel.is_canceled() {
            return Err(Fault::Canceled);
        }
        match item {
            CopyItem::Inline(file) => sources.inline(file, &mut placer, &dest)?,
            CopyItem::Git { input } => {
                sources.repository(*input, &op.exclude, &mut placer, &dest)?
            }
            CopyItem::Tree { input, path, unpack } => {
                sources.tree(*input, path, *unpack, &op.exclude, &mut placer, &dest)?;
            }
            CopyItem::Download { input, name, unpack } => {
                sources.download(*input, name, *unpack, &mut placer, &dest)?;
            }
        }
    }
    let mut plan = placer.finish();
    if executor.indexes()? {
        let id = tar::write(executor, task, &stack, &work, plan, sources.roots().collect())?;
        return Ok(Done { own: vec![layer_ref(&id)] });
    }
    plan.dialect = executor.dialect();
    plan.keep_owner = executor.single_id();
    let donor = executor.donor(task.vertex, &base)?;
    plan.donor = donor.as_ref().map(|(root, manifest)| Donor { root, manifest });
    let upper = Root::open(work.upper())?;
    super::root_dir::imitate(&upper, &stack.view(), executor.single_id())?;
    let roots: Vec<&Root> = sources.roots().collect();
    let copied = copy(&roots, &upper, &plan)?;
    let id = executor.store.layers().commit_tree(&work.upper(), &copied.manifest)?;
    Ok(Done { own: vec![layer_ref(&id)] })
}

fn overrides(executor: &Executor, op: &CopyOp, stack: &Stack) -> Result<Overrides, Fault> {
    let owner = match &op.chown {
        Some(text) => Some(owner::resolve(text, stack, executor)?),
        None => None,
    };
    let mode =
        match &op.chmod {
            Some(text) => Some(Chmod::parse(text).ok_or_else(|| {
                Fault::bug(format!("The mode `{text}` was read differently before"))
            })?),
            None => None,
        };
    Ok(Overrides { owner, mode, mtime: None, whole_seconds: true })
}

/// The time of directories that nobody copied.
pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: 0 }
}
