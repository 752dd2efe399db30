//! Writing the rows behind layers.

use gantry_image::DiffId;
use rusqlite::Connection;

use super::{BlobForm, blob_key};
use crate::db::WriteError;
use crate::store::Inner;
use crate::{LayerId, StoreError};

/// A tar's diff ID and size.
pub(super) type Diff = (DiffId, Option<u64>);

/// What a layer's row is made of.
pub(super) struct Row {
    pub(super) id: LayerId,
    pub(super) imported: bool,
    pub(super) tree: bool,
    pub(super) tar: bool,
    /// Mountable without unpacking.
    pub(super) index: bool,
    pub(super) size: Option<u64>,
    pub(super) usage: u64,
}

/// Adds a layer, or a further form of one.
pub(super) fn insert(tx: &Connection, row: &Row, now: i64) -> Result<(), WriteError> {
    // A further form of a known layer adds to its row; a dying one lives on.
    tx.prepare_cached(
        "insert into layers (id, imported, size, manifest, tree, tar, mountable, usage, measured, \
             created, used, unsynced) \
         values (?1, ?2, ?3, ?3 is not null, ?4, ?5, ?9, ?6, 0, ?7, ?7, ?8) \
         on conflict do update set \
             size = coalesce(size, ?3), manifest = max(manifest, ?3 is not null), \
             usage = case when (?4 > tree) or (?5 > tar) or (?9 > mountable) then usage + ?6 else usage end, \
             measured = case when (?4 > tree) or (?5 > tar) or (?9 > mountable) then 0 else measured end, \
             grown = case when (?4 > tree) or (?5 > tar) or (?9 > mountable) then ?8 else grown end, \
             tree = max(tree, ?4), tar = max(tar, ?5), \
             mountable = max(mountable, ?9), used = ?7, dying = 0",
    )?
    .execute((
        row.id,
        row.imported,
        row.size,
        row.tree,
        row.tar,
        row.usage,
        now,
        Inner::epoch(tx)?,
        row.index,
    ))?;
    Ok(())
}

/// Remembers a diff ID, under the clamp that it was made with.
pub(super) fn insert_diff(
    tx: &Connection,
    id: &LayerId,
    clamp: Option<i64>,
    (diff_id, size): &Diff,
) -> Result<(), WriteError> {
    let sql = "insert into diffs values (?1, ?2, ?3, ?4) \
               on conflict do update set size = coalesce(?4, size)";
    let text = diff_id.0.to_string();
    match clamp {
        Some(seconds) => tx.prepare_cached(sql)?.execute((id, seconds, text, size))?,
        None => tx.prepare_cached(sql)?.execute((id, "", text, size))?,
    };
    Ok(())
}

/// Remembers that a blob of the store holds a layer.
pub(super) fn insert_blob(
    tx: &Connection,
    id: &LayerId,
    form: &BlobForm,
    now: i64,
) -> Result<(), WriteError> {
    let key = blob_key(&form.digest);
    let revived = tx
        .prepare_cached("update blobs set dying = 0, used = ?2 where digest = ?1")?
        .execute((&key, now))?;
    if revived == 0 {
        return Err(StoreError::BlobGone { digest: form.digest }.into());
    }
    tx.prepare_cached("insert or replace into layer_blobs values (?1, ?2, ?3, ?4, ?5)")?
        .execute((id, form.diff_id.0.to_string(), key, &form.media_type, &form.how))?;
    Ok(())
}

/// Says whether the store has a layer.
pub(super) fn exists(tx: &Connection, id: &LayerId) -> rusqlite::Result<bool> {
    tx.prepare_cached("select 1 from layers where id = ?1")?.exists([id])
}
