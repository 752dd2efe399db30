//! Carrying out a plan, while builds go on.
//!
//! ```text
//! 1  rows are marked as dying, as a whole (1), or what their blob (2) or tar (3) can bring back, and
//!    that is committed
//! 2  leases are read: who took one before is seen; who comes after sees the mark, and removes it
//! 3  what is leased or lost its mark stays; the rest loses its row, and then moves to the trash
//! 4  the trash is emptied
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use rusqlite::Connection;

use super::PruneReport;
use super::leftovers::remove_orphan;
use super::plan::{Plan, Step, Target};
use crate::db::WriteError;
use crate::lock::{self, Hold};
use crate::store::Inner;
use crate::{StoreError, blobs, images, layers, lease, mounts, owner, runs, usage};

pub(super) fn run(inner: &Arc<Inner>, plan: Plan) -> Result<PruneReport, StoreError> {
    let mut report = PruneReport::default();
    let (files, rows): (Vec<Step>, Vec<Step>) = plan
        .steps
        .into_iter()
        .partition(|step| matches!(step.target, Target::File(_) | Target::CacheMount(_)));
    // Dead work directories first: that needs no row changed, and may be what fills the disk.
    owner::sweep(&inner.layout)?;
    for step in files {
        match remove_file(inner, &step.target) {
            Ok(true) => report.add(step),
            Ok(false) => {}
            Err(error) => report.failures.push(full_message(&error)),
        }
    }
    let gone = remove_rows(inner, &rows)?;
    let gone = gone.iter().zip(rows).filter_map(|(gone, step)| gone.then_some(step));
    gone.for_each(|step| report.add(step));
    if let Err(error) = inner.empty_trash() {
        report.failures.push(full_message(&error));
    }
    report.remaining = plan.total.saturating_sub(report.bytes);
    Ok(report)
}

impl PruneReport {
    /// Adds what went when it was looked at once more.
    pub(super) fn join(&mut self, again: PruneReport) {
        self.bytes += again.bytes;
        self.freed.extend(again.freed);
        self.failures.extend(again.failures);
        self.remaining = again.remaining;
    }

    fn add(&mut self, step: Step) {
        self.bytes += step.freed.size;
        self.freed.push(step.freed);
    }
}

/// An error and its causes on one line.
fn full_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message = format!("{message}: {cause}");
        next = cause.source();
    }
    message
}

/// Removes something that has no row to go by. Says whether it did.
fn remove_file(inner: &Arc<Inner>, target: &Target) -> Result<bool, StoreError> {
    match target {
        Target::CacheMount(name) => remove_mount(inner, name),
        Target::File(path) => {
            let layout = &inner.layout;
            if path.starts_with(layout.layers()) || path.starts_with(layout.blobs()) {
                remove_orphan(inner, path)
            } else if path.starts_with(layout.work()) {
                // Swept; what is still there resisted.
                Ok(fs::symlink_metadata(path).is_err())
            } else {
                inner.trash(path).map(|()| true)
            }
        }
        _ => Ok(false),
    }
}

/// Removes a directory of a cache mount, unless somebody uses it.
fn remove_mount(inner: &Arc<Inner>, name: &str) -> Result<bool, StoreError> {
    let path = inner.layout.mounts().join(name);
    let (Some(dir), Some((id, instance))) = (path.parent(), name.split_once('/')) else {
        return Ok(false);
    };
    let instance: u64 = instance.parse().unwrap_or(u64::MAX);
    let Some(_alone) = try_lock_there(&mounts::lock_path(dir, instance))? else {
        return Ok(false);
    };
    inner.trash(&path)?;
    inner.db.write(|tx| {
        tx.prepare_cached("delete from mounts where id = ?1 and instance = ?2")?
            .execute((id, i64::try_from(instance).unwrap_or(i64::MAX)))?;
        Ok(())
    })?;
    Ok(true)
}

/// As [`lock::try_take`], if the directory is there at all; the lock file goes in the end.
fn try_lock_there(path: &Path) -> Result<Option<lock::LockGuard>, StoreError> {
    if path.parent().is_some_and(Path::is_dir) {
        lock::try_take(path, Hold::Exclusive)
    } else {
        Ok(None)
    }
}

/// Steps 1 to 3, for all that has rows. Says of each whether it went.
fn remove_rows(inner: &Arc<Inner>, steps: &[Step]) -> Result<Vec<bool>, StoreError> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    inner.db.write(|tx| {
        // Marks that a killed pruner left: only one prunes at a time.
        tx.execute("update layers set dying = 0 where dying > 0", ())?;
        tx.execute("update blobs set dying = 0 where dying > 0", ())?;
        steps.iter().try_for_each(|step| mark(tx, &step.target))
    })?;
    let leases = lease::all(&inner.layout)?;
    let mut orphans = Vec::new();
    let gone = inner.db.write(|tx| {
        let mut gone = Vec::new();
        for step in steps {
            if let Target::Layer(id) = &step.target {
                runs::note_gone(tx, id, Some(&step.freed.reason))?;
            }
            let went = finish(tx, inner, &step.target, &leases, &mut orphans)?;
            if let Target::Layer(id) = &step.target
                && !went
            {
                runs::note_gone(tx, id, None)?;
            }
            gone.push(went);
        }
        // Layers that lived on a blob which went.
        orphans.extend(layers::drop_formless(tx)?.iter().map(|id| inner.layout.layer(id)));
        usage::remeasure_shared(tx)?;
        runs::forget_old(tx, inner.now())?;
        Ok(gone)
    })?;
    // Now that the rows are gone for good, and unless somebody brings the same in again first.
    for path in orphans {
        remove_orphan(inner, &path)?;
    }
    Ok(gone)
}

fn mark(tx: &Connection, target: &Target) -> Result<(), WriteError> {
    match target {
        Target::Layer(id) => {
            tx.prepare_cached("update layers set dying = 1 where id = ?1")?.execute([id])?;
        }
        Target::Blob(digest) => {
            tx.prepare_cached("update blobs set dying = 1 where digest = ?1")?.execute([digest])?;
        }
        Target::Unpacked(id) => {
            tx.prepare_cached("update layers set dying = 2 where id = ?1")?.execute([id])?;
        }
        Target::Tree(id) => {
            tx.prepare_cached("update layers set dying = 3 where id = ?1")?.execute([id])?;
        }
        Target::Image(_) | Target::File(_) | Target::CacheMount(_) => {}
    }
    Ok(())
}

fn finish(
    tx: &Connection,
    inner: &Arc<Inner>,
    target: &Target,
    leases: &HashSet<String>,
    orphans: &mut Vec<PathBuf>,
) -> Result<bool, WriteError> {
    let exists = |sql: &str, value: &dyn rusqlite::ToSql| -> rusqlite::Result<bool> {
        tx.prepare_cached(sql)?.exists([value])
    };
    match target {
        Target::Image(id) => {
            let kept = exists("select 1 from names where image = ?1", id)?
                || images::within(tx, id)?.is_some()
                || exists("select 1 from pins where kind = 'image' and target = ?1", id)?
                || leases.contains(&lease::line_of_blob(id));
            if !kept {
                images::forget(tx, id)?;
            }
            Ok(!kept)
        }
        Target::Layer(id) => {
            let doomed = exists("select 1 from layers where id = ?1 and dying = 1", id)?;
            let kept = leases.contains(&lease::line_of_layer(id))
                || exists("select 1 from image_layers where layer = ?1", id)?
                || exists(
                    "select 1 from pins where kind = 'layer' and target = ?1",
                    &id.to_string(),
                )?;
            if doomed && !kept {
                layers::forget(tx, id)?;
                orphans.push(inner.layout.layer(id));
                return Ok(true);
            }
            tx.prepare_cached("update layers set dying = 0 where id = ?1")?.execute([id])?;
            Ok(false)
        }
        Target::Unpacked(id) | Target::Tree(id) => {
            let tree_only = matches!(target, Target::Tree(_));
            // What brings it back has to be there still.
            let doomed = exists(
                match tree_only {
                    true => "select 1 from layers where id = ?1 and dying = 3 and tar = 1",
                    false => {
                        "select 1 from layers where id = ?1 and dying = 2 \
                         and exists (select 1 from layer_blobs where layer = id)"
                    }
                },
                id,
            )?;
            let kept = leases.contains(&lease::line_of_layer(id))
                || exists(
                    "select 1 from pins where kind = 'layer' and target = ?1",
                    &id.to_string(),
                )?;
            tx.prepare_cached("update layers set dying = 0 where id = ?1")?.execute([id])?;
            if doomed && !kept {
                let layout = &inner.layout;
                orphans.push(layout.tree(id));
                let sql = if tree_only {
                    "update layers set tree = 0, measured = 0 where id = ?1"
                } else {
                    orphans.extend([layout.tar(id), layout.index(id)]);
                    "update layers set tree = 0, tar = 0, mountable = 0, measured = 0 where id = ?1"
                };
                tx.prepare_cached(sql)?.execute([id])?;
            }
            Ok(doomed && !kept)
        }
        Target::Blob(digest) => {
            let doomed = exists("select 1 from blobs where digest = ?1 and dying = 1", digest)?;
            let kept = leases.contains(&lease::line_of_blob(digest))
                || exists("select 1 from images where id = ?1 or manifest = ?1", digest)?
                || exists("select 1 from index_blobs where digest = ?1", digest)?
                || exists("select 1 from pins where kind = 'blob' and target = ?1", digest)?
                || is_last_form_of_leased(tx, digest, leases)?;
            if doomed && !kept {
                blobs::forget(tx, digest)?;
                orphans.push(inner.layout.blob_named(digest));
                return Ok(true);
            }
            tx.prepare_cached("update blobs set dying = 0 where digest = ?1")?.execute([digest])?;
            Ok(false)
        }
        Target::File(_) | Target::CacheMount(_) => Ok(false),
    }
}

/// Says whether a layer that somebody leased would be left without any form.
fn is_last_form_of_leased(
    tx: &Connection,
    digest: &str,
    leases: &HashSet<String>,
) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached(
        "select layer from layer_blobs join layers on id = layer \
         where digest = ?1 and tree = 0 and tar = 0",
    )?;
    let layers = statement.query_map([digest], |row| row.get(0))?;
    for layer in layers {
        if leases.contains(&lease::line_of_layer(&layer?)) {
            return Ok(true);
        }
    }
    Ok(false)
}
