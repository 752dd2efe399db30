//! The rows behind a snapshot.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::Kind;
use super::snapshot::{BlobUsage, FileUsage, ImageUsage, LayerUsage, Snapshot};
use crate::LayerId;
use crate::layers::ids_from_bytes;

/// Reads all rows. Leases and files without rows are not looked at.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Snapshot> {
    let mut snapshot = Snapshot {
        layers: layers(connection)?,
        blobs: Vec::new(),
        images: Vec::new(),
        files: Vec::new(),
        leases: HashSet::new(),
        pins: HashMap::new(),
        logs_named: HashSet::new(),
    };
    let mut statement =
        connection.prepare_cached("select digest, size, created, used from blobs")?;
    let blobs = statement.query_map((), |row| {
        Ok(BlobUsage {
            digest: row.get(0)?,
            // Until it is measured.
            size: row.get(1)?,
            created: row.get(2)?,
            used: row.get(3)?,
        })
    })?;
    snapshot.blobs = blobs.collect::<rusqlite::Result<_>>()?;
    let mut names = connection.prepare_cached("select name from names where image = ?1")?;
    let mut lists = connection.prepare_cached(
        "select digest from index_blobs where list in (select list from names where image = ?1 \
             union select list from images where id = ?1)",
    )?;
    let mut statement =
        connection.prepare_cached("select id, manifest, layers, stored, used from images")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let named = names.query_map([&id], |row| row.get(0))?;
        let listed = lists.query_map([&id], |row| row.get(0))?;
        snapshot.images.push(ImageUsage {
            names: named.collect::<rusqlite::Result<_>>()?,
            within: crate::images::within(connection, &id)?,
            list: listed.collect::<rusqlite::Result<_>>()?,
            id,
            manifest: row.get(1)?,
            layers: ids_from_bytes(row.get_ref(2)?.as_blob()?),
            created: row.get(3)?,
            used: row.get(4)?,
        });
    }
    let mut statement = connection.prepare_cached("select kind, target, owner from pins")?;
    let pins = statement.query_map((), |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    snapshot.pins = pins.collect::<rusqlite::Result<_>>()?;
    let mut statement =
        connection.prepare_cached("select distinct log from records where log is not null")?;
    let logs = statement.query_map((), |row| row.get(0))?;
    snapshot.logs_named = logs.collect::<rusqlite::Result<_>>()?;
    let mut statement =
        connection.prepare_cached("select id, instance, name, created, used from mounts")?;
    let mounts = statement.query_map((), |row| {
        Ok(FileUsage {
            name: format!("{}/{}", row.get::<_, String>(0)?, row.get::<_, i64>(1)?),
            kind: Kind::CacheMount,
            description: format!("cache mount {}", row.get::<_, String>(2)?),
            size: 0,
            created: row.get(3)?,
            used: row.get(4)?,
            used_by: None,
        })
    })?;
    snapshot.files = mounts.collect::<rusqlite::Result<_>>()?;
    Ok(snapshot)
}

fn layers(connection: &Connection) -> rusqlite::Result<Vec<LayerUsage>> {
    let mut blobs = connection.prepare_cached(
        "select digest, diff_id = (select diff_id from diffs d where d.layer = l.layer \
         and clamp = '') from layer_blobs l where layer = ?1",
    )?;
    let mut records = connection.prepare_cached(
        "select max(text), max(took) from record_layers natural join records where layer = ?1",
    )?;
    let mut statement = connection.prepare_cached(
        "select id, usage, created, used, max(tree, tar), imported, remote is not null, \
         min(tree, tar) from layers",
    )?;
    let mut rows = statement.query(())?;
    let mut layers = Vec::new();
    while let Some(row) = rows.next()? {
        let id: LayerId = row.get(0)?;
        let (mut all, mut exact) = (Vec::new(), Vec::new());
        let mut found = blobs.query([id])?;
        while let Some(blob) = found.next()? {
            let digest: String = blob.get(0)?;
            if blob.get::<_, Option<bool>>(1)?.unwrap_or(false) {
                exact.push(digest.clone());
            }
            all.push(digest);
        }
        let (text, took) = records.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        layers.push(LayerUsage {
            id,
            usage: row.get(1)?,
            created: row.get(2)?,
            used: row.get(3)?,
            unpacked: row.get(4)?,
            imported: row.get(5)?,
            elsewhere: row.get::<_, bool>(6)? && !row.get::<_, bool>(4)? && all.is_empty(),
            tree_and_tar: row.get(7)?,
            exact_blobs: exact,
            blobs: all,
            text,
            took,
        });
    }
    Ok(layers)
}
