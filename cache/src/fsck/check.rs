//! What is looked at, in which order.
//!
//! Rows first, then what they promise on disk, then what is on disk without a row. Builds may go on
//! meanwhile: things appear at once and whole, and only pruning, which waits for us, removes them.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use super::tree::{check_blob, check_layer};
use super::{FsckReport, Problem, Severity};
use crate::prune::orphans;
use crate::store::Inner;
use crate::{Key, LayerId, Store, StoreError, owner};

/// The report, and for each of its problems what removes it.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) report: FsckReport,
    pub(super) remedies: Vec<Remedy>,
}

/// What to do about a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing that a program should decide.
    None,
    /// The directory of the layer goes; its blob, if it has a good one, brings it back.
    Strip(LayerId),
    /// The layer goes, with the records that name it.
    Layer(LayerId),
    Blob(String),
    Record(Key),
    Image(String),
    Orphan(PathBuf),
    Sweep,
    /// Rows that lead nowhere: this SQL removes them.
    Rows(&'static str),
}

impl Findings {
    pub(super) fn damage(&mut self, object: String, what: impl Into<String>, remedy: Remedy) {
        self.add(Severity::Damage, object, what.into(), remedy);
    }

    fn leftover(&mut self, object: String, what: impl Into<String>, remedy: Remedy) {
        self.add(Severity::Leftover, object, what.into(), remedy);
    }

    fn add(&mut self, severity: Severity, object: String, what: String, remedy: Remedy) {
        self.report.problems.push(Problem { severity, object, what, repaired: false });
        self.remedies.push(remedy);
    }
}

pub(super) fn all(inner: &Arc<Inner>, deep: bool) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    database(inner, deep, &mut findings)?;
    let blobs = inner.db.read(|connection| {
        let mut statement = connection.prepare_cached("select digest, size from blobs")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<(String, u64)>>>()
    })?;
    for (digest, size) in &blobs {
        findings.report.blobs += 1;
        check_blob(inner, digest, *size, deep, &mut findings);
    }
    let store = Store { inner: Arc::clone(inner), fetcher: None };
    for id in store.layers().list()? {
        if let Some(layer) = store.layers().get(&id)? {
            findings.report.layers += 1;
            check_layer(&store, &layer, deep, &mut findings)?;
        }
    }
    rows(inner, &mut findings)?;
    leftovers(inner, &mut findings)?;
    Ok(findings)
}

fn database(inner: &Arc<Inner>, deep: bool, findings: &mut Findings) -> Result<(), StoreError> {
    let sql = if deep { "pragma integrity_check" } else { "pragma quick_check" };
    let answers = inner.db.read(|connection| {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map((), |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()
    })?;
    for answer in answers.into_iter().filter(|answer| answer != "ok") {
        findings.damage("database".to_owned(), answer, Remedy::None);
    }
    Ok(())
}

/// A query for things that name something that is not there, and what to say of them.
const DANGLING: [(&str, &str); 4] = [
    (
        "select distinct key from record_layers r \
         where not exists (select 1 from layers where id = r.layer)",
        "it names a layer that is not there",
    ),
    (
        "select id from images i where exists (select 1 from image_layers l where l.image = i.id \
             and not exists (select 1 from layers where id = l.layer))",
        "it names a layer that is not there",
    ),
    (
        "select id from images i \
         where not exists (select 1 from blobs where digest = i.id)",
        "its config is not there",
    ),
    (
        "select id from images i where manifest is not null \
         and not exists (select 1 from blobs where digest = i.manifest)",
        "its manifest is not there",
    ),
];

/// Rows without meaning: what they are, how to find them, how to remove them.
const STRAY: [(&str, &str, &str); 5] = [
    (
        "preimage",
        "select count(*) from preimages p where not exists \
             (select 1 from runs where key = p.key)",
        "delete from preimages where key not in (select key from runs)",
    ),
    (
        "record's layer",
        "select count(*) from record_layers l where not exists \
             (select 1 from records where key = l.key)",
        "delete from record_layers where key not in (select key from records)",
    ),
    (
        "image name",
        "select count(*) from names n where not exists (select 1 from images where id = n.image)",
        "delete from names where image not in (select id from images)",
    ),
    (
        "part of an index",
        "select (select count(*) from index_blobs l where not exists \
             (select 1 from blobs where digest = l.digest)) \
             + (select count(*) from index_images l where not exists \
             (select 1 from images where id = l.image)) \
             + (select count(*) from names where list is not null \
             and list not in (select list from index_images)) \
             + (select count(*) from images where list is not null \
             and list not in (select list from index_images))",
        crate::images::MEND_LISTS,
    ),
    (
        "layer's blob",
        "select count(*) from layer_blobs l where not exists \
             (select 1 from blobs where digest = l.digest) \
             or not exists (select 1 from layers where id = l.layer)",
        "delete from layer_blobs where digest not in (select digest from blobs) \
             or layer not in (select id from layers)",
    ),
];

fn rows(inner: &Arc<Inner>, findings: &mut Findings) -> Result<(), StoreError> {
    let count = |connection: &Connection, sql: &str| -> rusqlite::Result<u64> {
        connection.query_row(sql, (), |row| row.get(0))
    };
    let (records, images) = inner.db.read(|connection| {
        let records = count(connection, "select count(*) from records")?;
        Ok((records, count(connection, "select count(*) from images")?))
    })?;
    (findings.report.records, findings.report.images) = (records, images);
    let [(broken_records, why), broken_images @ ..] = DANGLING;
    let keys: Vec<Key> = inner.db.read(|connection| {
        connection.prepare(broken_records)?.query_map((), |row| row.get(0))?.collect()
    })?;
    for key in keys {
        findings.damage(format!("record `{key}`"), why, Remedy::Record(key));
    }
    for (sql, why) in broken_images {
        let ids: Vec<String> = inner.db.read(|connection| {
            connection.prepare(sql)?.query_map((), |row| row.get(0))?.collect()
        })?;
        for id in ids {
            findings.damage(format!("image `{id}`"), why, Remedy::Image(id));
        }
    }
    for (object, find, remove) in STRAY {
        let strays = inner.db.read(|connection| count(connection, find))?;
        if strays > 0 {
            let what = format!("{strays} rows belong to nothing");
            findings.damage(object.to_owned(), what, Remedy::Rows(remove));
        }
    }
    Ok(())
}

fn leftovers(inner: &Arc<Inner>, findings: &mut Findings) -> Result<(), StoreError> {
    for found in owner::list(&inner.layout)?.into_iter().filter(|found| !found.alive) {
        let object = format!("`{}`", found.dir.display());
        findings.leftover(object, "its process is gone", Remedy::Sweep);
    }
    for (path, _) in orphans(inner)? {
        findings.leftover(format!("`{}`", path.display()), "no row knows it", Remedy::Orphan(path));
    }
    Ok(())
}
