//! What a power failure may have taken, and how the store forgets it.
//!
//! Nothing is synced file by file. A row that was made since the last `syncfs` has `unsynced` set;
//! after a reboot its files may be empty or missing, so the row is dropped, with what it names.
//! Where the whole machine went down, a deleted file's row may come back, too: what has no file is
//! dropped as well.

use std::path::PathBuf;

use rusqlite::Connection;

use super::{Db, WriteError};
use crate::layout::Layout;
use crate::{LayerId, StoreError};

/// What was dropped because the machine went down before it was on disk.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) layers: Vec<LayerId>,
    pub(crate) blobs: Vec<String>,
}

impl Lost {
    /// Where the files of what was lost lie, forms and whole layers.
    pub(crate) fn paths(&self, layout: &Layout) -> Vec<PathBuf> {
        let layers = self.layers.iter();
        let layers = layers
            .flat_map(|id| [layout.tree(id), layout.tar(id), layout.index(id), layout.layer(id)]);
        layers.chain(self.blobs.iter().map(|blob| layout.blob_named(blob))).collect()
    }
}

/// Notices a reboot since the store was last written, and drops what it may have spoilt.
///
/// Costs one read when there was none. The files of what is returned have no row any more.
pub(crate) fn check(db: &Db, boot: &str, layout: &Layout) -> Result<Lost, StoreError> {
    let same = |connection: &Connection| -> rusqlite::Result<bool> {
        let mut statement =
            connection.prepare_cached("select 1 from meta where name = 'boot' and value = ?1")?;
        statement.exists([boot])
    };
    if db.read(same)? {
        return Ok(Lost::default());
    }
    db.write(|tx| {
        // Another process may have been faster.
        if same(tx)? {
            return Ok(Lost::default());
        }
        let lost = drop_unsynced(tx, layout)?;
        tx.execute("insert or replace into meta values ('boot', ?1)", [boot])?;
        tx.execute("insert or ignore into meta values ('epoch', 1)", ())?;
        Ok(lost)
    })
}

fn drop_unsynced(tx: &Connection, layout: &Layout) -> Result<Lost, WriteError> {
    let mut lost = Lost::default();
    let mut stripped = Vec::new();
    let mut layers = tx.prepare(
        "select id, unsynced is not null or (grown is not null and not imported), \
             grown is not null, tree, tar, manifest, imported, mountable from layers",
    )?;
    let rows = layers.query_map((), |row| {
        let (id, unsynced, grown): (LayerId, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let forms: (bool, bool, bool, bool) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(7)?);
        Ok((id, unsynced, grown, forms, row.get::<_, bool>(6)?))
    })?;
    for row in rows {
        let (id, unsynced, grown, (tree, tar, manifest, index), imported) = row?;
        let there = (!tree || layout.tree(&id).is_dir())
            && (!tar || layout.tar(&id).is_file())
            && (!index || layout.index(&id).is_file())
            && (!manifest || layout.manifest(&id).is_file());
        if unsynced || (!imported && !there) {
            lost.layers.push(id);
        } else if grown || !there {
            // Its blob may be whole and bring the rest back.
            stripped.push(id);
        }
    }
    for id in &stripped {
        crate::layers::strip(tx, id)?;
    }
    let mut blobs = tx.prepare("select digest, unsynced from blobs")?;
    let rows =
        blobs.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    for row in rows {
        let (digest, unsynced) = row?;
        let file = layout.blob_named(&digest);
        if unsynced.is_some() || !file.is_file() {
            lost.blobs.push(digest);
        }
    }
    for layer in &lost.layers {
        crate::layers::forget(tx, layer)?;
    }
    for blob in &lost.blobs {
        crate::blobs::forget(tx, blob)?;
    }
    crate::layers::drop_formless(tx)?;
    lost.layers.extend(stripped);
    tx.execute_batch(
        "delete from record_layers
            where key in (select key from records where unsynced is not null);
         delete from records where unsynced is not null;
         delete from image_layers
            where image in (select id from images where unsynced is not null);
         delete from images where unsynced is not null;",
    )?;
    crate::images::drop_dangling_names(tx)?;
    Ok(lost)
}
