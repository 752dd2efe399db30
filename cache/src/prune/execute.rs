//! Carrying out a plan, while builds go on.
//!
//! ```text
//! 1  rows are marked as dying (or a form as gone), and that is committed
//! 2  leases are read; whoever took one before saw the thing, whoever comes after sees the mark
//! 3  what is leased gets its mark taken away; the rest loses its row and moves to the trash
//! 4  the trash is emptied
//! ```
//!
//! On a disk that is so full that not even a row can be changed, the store's reserve file goes
//! first.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use rusqlite::Connection;

use super::PruneReport;
use super::leftovers::remove_orphan;
use super::plan::{Plan, Step, Target};
use crate::db::WriteError;
use crate::lock::{self, Hold};
use crate::store::Inner;
use crate::{StoreError, blobs, images, layers, lease, mounts, owner, usage};

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
    let rows = match remove_rows(inner, &rows) {
        Err(error) if error.is_full() => {
            inner.spend_reserve()?;
            remove_rows(inner, &rows)?
        }
        other => other?,
    }
    .iter()
    .zip(rows)
    .filter_map(|(gone, step)| gone.then_some(step))
    .collect::<Vec<_>>();
    rows.into_iter().for_each(|step| report.add(step));
    if let Err(error) = inner.empty_trash() {
        report.failures.push(full_message(&error));
    }
    inner.keep_reserve();
    report.remaining = plan.total.saturating_sub(report.bytes);
    Ok(report)
}

impl PruneReport {
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
        tx.execute("update layers set dying = 0 where dying = 1", ())?;
        tx.execute("update blobs set dying = 0 where dying = 1", ())?;
        steps.iter().try_for_each(|step| mark(tx, &step.target))
    })?;
    let leases = lease::all(&inner.layout)?;
    inner.db.write(|tx| {
        let gone: Result<Vec<bool>, WriteError> =
            steps.iter().map(|step| finish(tx, inner, &step.target, &leases)).collect();
        // Layers that lived on a blob which went.
        for id in layers::drop_formless(tx)? {
            inner.trash(&inner.layout.layer(&id))?;
        }
        usage::remeasure_shared(tx)?;
        gone
    })
}

fn mark(tx: &Connection, target: &Target) -> Result<(), WriteError> {
    match target {
        Target::Layer(id) => {
            tx.prepare_cached("update layers set dying = 1 where id = ?1")?.execute([id])?;
        }
        Target::Blob(digest) => {
            tx.prepare_cached("update blobs set dying = 1 where digest = ?1")?.execute([digest])?;
        }
        Target::Tree(id) => {
            tx.prepare_cached("update layers set tree = 0 where id = ?1")?.execute([id])?;
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
) -> Result<bool, WriteError> {
    let exists = |sql: &str, value: &dyn rusqlite::ToSql| -> rusqlite::Result<bool> {
        tx.prepare_cached(sql)?.exists([value])
    };
    match target {
        Target::Image(id) => {
            let kept = exists("select 1 from names where image = ?1", id)?
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
                inner.trash(&inner.layout.layer(id))?;
                return Ok(true);
            }
            tx.prepare_cached("update layers set dying = 0 where id = ?1")?.execute([id])?;
            Ok(false)
        }
        Target::Tree(id) => {
            // Somebody may have made it anew meanwhile.
            let gone = exists("select 1 from layers where id = ?1 and tree = 0", id)?;
            if gone && leases.contains(&lease::line_of_layer(id)) {
                tx.prepare_cached("update layers set tree = 1 where id = ?1")?.execute([id])?;
                return Ok(false);
            }
            if gone {
                inner.trash(&inner.layout.tree(id))?;
                tx.prepare_cached("update layers set measured = 0 where id = ?1")?.execute([id])?;
            }
            Ok(gone)
        }
        Target::Blob(digest) => {
            let doomed = exists("select 1 from blobs where digest = ?1 and dying = 1", digest)?;
            let kept = leases.contains(&lease::line_of_blob(digest))
                || exists("select 1 from images where id = ?1 or manifest = ?1", digest)?
                || exists("select 1 from pins where kind = 'blob' and target = ?1", digest)?
                || is_last_form_of_leased(tx, digest, leases)?;
            if doomed && !kept {
                blobs::forget(tx, digest)?;
                inner.trash(&inner.layout.blobs().join(digest.trim_start_matches("sha256:")))?;
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
