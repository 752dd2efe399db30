//! The rows behind layers.

use gantry_image::{DiffId, Digest};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension};

use super::layer::Facts;
use super::remote::decode;
use super::{BlobForm, Forms};
use crate::LayerId;
use crate::db::{WriteError, from_millis};

/// Reads all that is known of a layer.
pub(super) fn read(connection: &Connection, id: &LayerId) -> rusqlite::Result<Option<Facts>> {
    let mut statement = connection.prepare_cached(
        "select imported, size, manifest, tree, tar, mountable, remote, created, used \
         from layers where id = ?1",
    )?;
    let facts = statement.query_row([id], |row| {
        Ok(Facts {
            imported: row.get(0)?,
            size: row.get(1)?,
            manifest: row.get(2)?,
            forms: Forms {
                tree: row.get(3)?,
                tar: row.get(4)?,
                index: row.get(5)?,
                remote: decode(row.get::<_, Option<String>>(6)?.as_deref()),
                blobs: Vec::new(),
            },
            created: from_millis(row.get(7)?),
            used: from_millis(row.get(8)?),
            diffs: Vec::new(),
        })
    });
    let Some(mut facts) = facts.optional()? else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("select clamp, diff_id, size from diffs where layer = ?1")?;
    let diffs = statement.query_map([id], |row| {
        let clamp = match row.get(0)? {
            Value::Integer(seconds) => Some(seconds),
            _ => None,
        };
        Ok((clamp, DiffId(digest(row, 1)?), row.get(2)?))
    })?;
    facts.diffs = diffs.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare_cached(
        "select l.digest, l.diff_id, l.media_type, l.how from layer_blobs l \
         join blobs b on b.digest = l.digest where l.layer = ?1",
    )?;
    let blobs = statement.query_map([id], |row| {
        Ok(BlobForm {
            digest: digest(row, 0)?,
            diff_id: DiffId(digest(row, 1)?),
            media_type: row.get(2)?,
            how: row.get(3)?,
        })
    })?;
    facts.forms.blobs = blobs.collect::<rusqlite::Result<_>>()?;
    Ok(Some(facts))
}

/// Reads a digest that is kept as text.
pub(crate) fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: gantry_image::digest::ParseDigestError| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(super) fn by_diff_id(
    connection: &Connection,
    imported: &LayerId,
    diff_id: &str,
) -> rusqlite::Result<Option<LayerId>> {
    let mut statement = connection.prepare_cached("select id from layers where id = ?1")?;
    if let Some(id) = statement.query_row([imported], |row| row.get(0)).optional()? {
        return Ok(Some(id));
    }
    connection
        .prepare_cached(
            "select l.id from diffs d join layers l on l.id = d.layer \
             where d.diff_id = ?1 and d.clamp = ''",
        )?
        .query_row([diff_id], |row| row.get(0))
        .optional()
}

/// Drops a layer's rows, and those of records and images that can't be without it.
pub(crate) fn forget(tx: &Connection, id: &LayerId) -> Result<(), WriteError> {
    let mut keys = tx.prepare_cached("select key from record_layers where layer = ?1")?;
    let keys: Vec<crate::Key> =
        keys.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for key in keys {
        crate::records::forget(tx, &key)?;
    }
    let mut images = tx.prepare_cached("select image from image_layers where layer = ?1")?;
    let images: Vec<String> =
        images.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for image in images {
        crate::images::forget(tx, &image)?;
    }
    tx.prepare_cached("delete from diffs where layer = ?1")?.execute([id])?;
    tx.prepare_cached("delete from layer_blobs where layer = ?1")?.execute([id])?;
    tx.prepare_cached("delete from layers where id = ?1")?.execute([id])?;
    Ok(())
}

/// Notes that a layer has only its blobs left.
pub(crate) fn strip(tx: &Connection, id: &LayerId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "update layers set manifest = 0, tree = 0, tar = 0, mountable = 0, size = null, \
         usage = 0, measured = 0, grown = null where id = ?1",
    )?
    .execute([id])?;
    Ok(())
}

/// Drops layers whose last form is gone, and returns them: their directories may go.
pub(crate) fn drop_formless(tx: &Connection) -> Result<Vec<LayerId>, WriteError> {
    let mut statement = tx.prepare_cached(
        "select id from layers where tree = 0 and tar = 0 and remote is null \
         and not exists (select 1 from layer_blobs where layer = id)",
    )?;
    let ids: Vec<LayerId> =
        statement.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for id in &ids {
        forget(tx, id)?;
    }
    Ok(ids)
}

/// Writes a list of layers as one value, lowest first.
pub(crate) fn ids_to_bytes(ids: &[LayerId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0).collect()
}

/// Reads what [`ids_to_bytes`] wrote.
pub(crate) fn ids_from_bytes(bytes: &[u8]) -> Vec<LayerId> {
    bytes.as_chunks::<32>().0.iter().map(|chunk| LayerId(*chunk)).collect()
}
