//! The format of a store, as its database tells it (`user_version`), and the way up from older ones.
//!
//! Step `n` of [`STEPS`] lifts a store of format `n` to format `n + 1`; an empty file has format 0.
//! A newer format is refused: its files may mean something else.

use std::path::Path;

use rusqlite::Connection;

use super::{WriteError, patiently};
use crate::StoreError;

/// The newest format that this program knows.
pub(crate) const FORMAT: u32 = STEPS.len() as u32;

/// "gtry": says that a database is a store's.
const APPLICATION: i64 = 0x6774_7279;

const STEPS: [&str; 5] = [
    "
    create table meta (name text primary key, value) without rowid;

    -- `unsynced` is the sync epoch in which a row was made, null once a syncfs came after it.
    -- `dying` rows are about to be pruned: whoever begins to use one takes the mark away.
    create table blobs (
        digest text primary key, size integer not null,
        created integer not null, used integer not null,
        unsynced integer, dying integer not null default 0
    ) without rowid;

    create table layers (
        id blob primary key,
        imported integer not null, -- 1: the tar is fixed, it came with an image
        size integer,              -- of the files' contents; null while there is no manifest
        manifest integer not null default 0,
        tree integer not null default 0, tar integer not null default 0,
        mountable integer not null default 0, remote text,
        usage integer not null,    -- bytes on disk of everything but blobs
        measured integer not null default 0, -- 0: `usage` is an upper bound, or was not settled
        created integer not null, used integer not null,
        unsynced integer, dying integer not null default 0,
        grown integer -- the sync epoch in which a synced layer got a further form
    ) without rowid;

    -- `clamp` is SOURCE_DATE_EPOCH, or the text '' for times as they are.
    create table diffs (
        layer blob not null, clamp not null, diff_id text not null, size integer,
        primary key (layer, clamp)
    ) without rowid;
    create index diffs_by_id on diffs (diff_id);

    create table layer_blobs (
        layer blob not null, diff_id text not null, digest text not null,
        media_type text not null, how text not null,
        primary key (layer, digest)
    ) without rowid;
    create index layer_blobs_by_digest on layer_blobs (digest);

    create table records (
        key blob primary key, kind integer not null, layers blob not null,
        took integer not null, log blob, extra blob not null,
        created integer not null, used integer not null, unsynced integer,
        stage text not null, position integer not null, text text not null
    ) without rowid;
    create index records_by_place on records (stage, position);
    create index records_by_text on records (text);
    create table record_layers (
        layer blob not null, key blob not null, primary key (layer, key)
    ) without rowid;
    create table preimages (key blob primary key, data blob not null) without rowid;

    create table images (
        id text primary key, manifest text, platform text not null, layers blob not null,
        size integer not null, created integer, stored integer not null, used integer not null,
        unsynced integer
    ) without rowid;
    create index images_by_manifest on images (manifest);
    create table image_layers (
        layer blob not null, image text not null, primary key (layer, image)
    ) without rowid;
    -- `previous` is what the name meant before, for the case that `image` is lost in a crash.
    create table names (
        name text primary key, image text not null, previous text
    ) without rowid;
    create index names_by_image on names (image);

    create table pins (
        owner text not null, kind text not null, target text not null,
        primary key (owner, kind, target)
    ) without rowid;
    create index pins_by_target on pins (kind, target);

    create table mounts (
        id text not null, instance integer not null, name text not null,
        created integer not null, used integer not null, primary key (id, instance)
    ) without rowid;
",
    "
    -- Steps that ran once, whether or not their records are still there; `preimages` are theirs.
    create table runs (
        key blob primary key, project text not null,
        stage text not null, position integer not null, text text not null,
        took integer not null, created integer not null,
        gone text -- why its result was pruned
    ) without rowid;
    create index runs_by_place on runs (project, stage, position);
    create index runs_by_text on runs (text);
    insert into runs select key, '', stage, position, text, took, created, null from records;
",
    "
    -- An index over an image and what is said about it; and the blobs that it needs besides the
    -- image's own.
    alter table images add column list text;
    create table list_blobs (
        image text not null, digest text not null, primary key (image, digest)
    ) without rowid;
    create index list_blobs_by_digest on list_blobs (digest);
",
    "
    -- The images for other platforms that were built with one: they stay while it has a name.
    create table siblings (
        image text not null, other text not null, primary key (image, other)
    ) without rowid;
    create index siblings_by_other on siblings (other);
",
    "
    -- A name may stand for an index over several images: the blobs that the index needs besides
    -- configs and layers, itself included, and the images. The one of an image came with it last.
    alter table names add column list text;
    create table index_blobs (
        list text not null, digest text not null, primary key (list, digest)
    ) without rowid;
    create index index_blobs_by_digest on index_blobs (digest);
    create table index_images (
        list text not null, image text not null, primary key (list, image)
    ) without rowid;
    create index index_images_by_image on index_images (image);
    insert or ignore into index_blobs select i.list, b.digest from images i
        join list_blobs b on b.image = i.id where i.list is not null;
    insert or ignore into index_blobs
        select list, manifest from images where list is not null and manifest is not null;
    insert into index_images select list, id from images where list is not null;
    update names set list = (select list from images where id = names.image);
    drop table list_blobs;
    drop table siblings;
",
];

/// Checks the format, making or lifting the schema where needed.
pub(super) fn prepare(
    root: &Path,
    path: &Path,
    mut connection: Connection,
) -> Result<Connection, StoreError> {
    let version = |connection: &Connection| -> rusqlite::Result<i64> {
        connection.query_row("pragma user_version", (), |row| row.get(0))
    };
    let found = patiently(|| version(&connection)).map_err(|e| StoreError::database(path, e))?;
    if found == i64::from(FORMAT) {
        return Ok(connection);
    }
    refuse_newer(root, found)?;
    // Switching to WAL needs the file for oneself for a moment; it lasts.
    patiently(|| connection.query_row("pragma journal_mode = wal", (), |_| Ok(())))
        .map_err(|e| StoreError::database(path, e))?;
    super::begin(&mut connection, path)?;
    let lifted = lift(&connection, root, path);
    let end = if lifted.is_ok() { "commit" } else { "rollback" };
    let ended = connection.execute_batch(end).map_err(|e| StoreError::database(path, e));
    lifted.map_err(|e| e.at(path))?;
    ended?;
    Ok(connection)
}

fn refuse_newer(root: &Path, found: i64) -> Result<(), StoreError> {
    if found <= i64::from(FORMAT) && found >= 0 {
        return Ok(());
    }
    Err(StoreError::Newer {
        root: root.to_path_buf(),
        found: u32::try_from(found).unwrap_or(u32::MAX),
        known: FORMAT,
    })
}

fn lift(connection: &Connection, root: &Path, path: &Path) -> Result<(), WriteError> {
    let pragma = |name: &str| {
        connection.query_row(&format!("pragma {name}"), (), |row| row.get::<_, i64>(0))
    };
    // Another process may have been faster.
    let found = pragma("user_version")?;
    refuse_newer(root, found)?;
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", (), |row| row.get(0))?;
    if pragma("application_id")? != APPLICATION && tables > 0 {
        return Err(StoreError::NotAStore { path: path.to_path_buf() }.into());
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        connection.execute_batch(step)?;
    }
    connection.execute_batch(&format!(
        "pragma application_id = {APPLICATION}; pragma user_version = {FORMAT}"
    ))?;
    Ok(())
}
