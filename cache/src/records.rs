//! Build records: what a step gave, by key.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension};

use crate::db::{WriteError, from_millis};
use crate::layers::{ids_from_bytes, ids_to_bytes};
use crate::runs;
use crate::store::Inner;
use crate::{Key, LayerId, LogId, StoreError};

/// The build records of a store.
#[derive(Debug, Clone, Copy)]
pub struct Records<'s> {
    pub(crate) inner: &'s Inner,
}

/// Which of a step's keys a record is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// The operation and its inputs' keys.
    Recipe,
    /// The operation and its inputs' contents.
    Content,
    /// Anything else that a caller keys by itself.
    Other,
}

/// What a step gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key it was asked by.
    pub key: Key,
    /// What sort of key that is.
    pub kind: RecordKind,
    /// The layers that the step made, lowest first. All are in the store.
    pub layers: Vec<LayerId>,
    /// How long it took when it really ran.
    pub took: Duration,
    /// What it printed.
    pub log: Option<LogId>,
    /// Whatever else the caller wants back.
    pub extra: Vec<u8>,
    /// When it ran.
    pub created: SystemTime,
    /// When it was last found, to the minute.
    pub last_used: SystemTime,
    /// The stage that it was part of when it ran.
    pub stage: String,
    /// Its place in there.
    pub position: u32,
    /// The instruction as it was written.
    pub text: String,
}

/// A record to be stored.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    /// The key it is to be found by; a record of the same key is replaced.
    pub key: Key,
    /// What sort of key that is.
    pub kind: RecordKind,
    /// The layers that the step made, lowest first.
    pub layers: &'a [LayerId],
    /// What the key was made from, so that it can be told later what changed; packed by
    /// [`pack_preimage`](crate::pack_preimage). Of the keys of one run, only one needs it.
    pub preimage: Option<&'a [u8]>,
    /// How long the step took.
    pub took: Duration,
    /// What it printed.
    pub log: Option<LogId>,
    /// Whatever else the caller wants back.
    pub extra: &'a [u8],
    /// What was built: context and Dockerfile, in any words.
    pub project: &'a str,
    /// The stage that it is part of.
    pub stage: &'a str,
    /// Its place in there.
    pub position: u32,
    /// The instruction as it is written.
    pub text: &'a str,
}

impl<'a> NewRecord<'a> {
    /// Makes a record that no step of a build has: what was found out once, to be found by its key.
    pub fn of_no_step(key: Key, layers: &'a [LayerId], extra: &'a [u8]) -> Self {
        Self {
            key,
            kind: RecordKind::Other,
            layers,
            preimage: None,
            took: Duration::ZERO,
            log: None,
            extra,
            project: "",
            stage: "",
            position: 0,
            text: "",
        }
    }
}

const COLUMNS: &str = "key, kind, layers, took, log, extra, created, used, stage, position, text";

impl Records<'_> {
    /// Finds the record of a key. All of its layers are in the store; keep them with a
    /// [`Lease`](crate::Lease) to have it stay so.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.db.read(|connection| {
            let sql = format!("select {COLUMNS} from records where key = ?1");
            let record = connection.prepare_cached(&sql)?.query_row([key], record).optional()?;
            let Some(record) = record else { return Ok(None) };
            let mut layer = connection.prepare_cached("select 1 from layers where id = ?1")?;
            for id in &record.layers {
                if !layer.exists([id])? {
                    return Ok(None);
                }
            }
            Ok(Some(record))
        })
    }

    /// Stores a record. Its layers must be in the store and leased.
    ///
    /// # Errors
    /// [`StoreError::LayerGone`] if a layer is not there.
    pub fn put(&self, new: &NewRecord<'_>) -> Result<(), StoreError> {
        let now = self.inner.now();
        self.inner.db.write(|tx| {
            forget(tx, &new.key)?;
            let mut layer = tx.prepare_cached("select 1 from layers where id = ?1")?;
            let mut link =
                tx.prepare_cached("insert or ignore into record_layers values (?1, ?2)")?;
            for id in new.layers {
                if !layer.exists([id])? {
                    return Err(StoreError::LayerGone { layer: *id }.into());
                }
                link.execute((id, new.key))?;
            }
            let millis = i64::try_from(new.took.as_millis()).unwrap_or(i64::MAX);
            let kind = kind_to_number(new.kind);
            tx.prepare_cached(
                "insert into records (key, kind, layers, took, log, extra, created, used, \
                 unsynced, stage, position, text) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(rusqlite::params![
                new.key,
                kind,
                ids_to_bytes(new.layers),
                millis,
                new.log,
                new.extra,
                now,
                Inner::epoch(tx)?,
                new.stage,
                new.position,
                new.text,
            ])?;
            match new.preimage {
                Some(packed) => runs::remember(tx, new, packed, now),
                None => Ok(()),
            }
        })
    }

    /// Finds the earlier runs of what is likely the same step: those at the same place of the same
    /// stage, and those of the same text; newest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn nearest(
        &self,
        stage: &str,
        position: u32,
        text: &str,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.db.read(|connection| {
            let sql = format!(
                "select {COLUMNS} from records \
                 where (stage = ?1 and position = ?2) or text = ?3 \
                 order by (text = ?3) + (stage = ?1 and position = ?2) desc, created desc limit 16"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map((stage, position, text), record)?.collect()
        })
    }

    /// Notes that these records were found just now. Exact to a minute, as
    /// [`Layers::touch`](crate::Layers::touch).
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn touch(&self, keys: &[Key]) -> Result<(), StoreError> {
        const GRAIN: i64 = 60_000;
        let now = self.inner.now();
        let stale = self.inner.db.read(|connection| {
            let mut statement =
                connection.prepare_cached("select 1 from records where key = ?1 and used < ?2")?;
            let mut any = false;
            for key in keys {
                any |= statement.exists((key, now - GRAIN))?;
            }
            Ok(any)
        })?;
        if !stale {
            return Ok(());
        }
        self.inner.db.write(|tx| {
            let mut records = tx.prepare_cached("update records set used = ?2 where key = ?1")?;
            let mut layers = tx.prepare_cached(
                "update layers set used = ?2 \
                 where id in (select layer from record_layers where key = ?1)",
            )?;
            for key in keys {
                records.execute((key, now))?;
                layers.execute((key, now))?;
            }
            Ok(())
        })
    }

    /// Removes a record, so that its step runs again. Its layers stay until they are pruned.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.inner.db.write(|tx| forget(tx, key))
    }

    /// Lists all records, the last used first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn list(&self) -> Result<Vec<Record>, StoreError> {
        self.inner.db.read(|connection| {
            let sql = format!("select {COLUMNS} from records order by used desc");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map((), record)?.collect()
        })
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let millis: i64 = row.get(3)?;
    Ok(Record {
        key: row.get(0)?,
        kind: kind_from_number(row.get(1)?),
        layers: ids_from_bytes(row.get_ref(2)?.as_blob()?),
        took: Duration::from_millis(millis.unsigned_abs()),
        log: row.get(4)?,
        extra: row.get(5)?,
        created: from_millis(row.get(6)?),
        last_used: from_millis(row.get(7)?),
        stage: row.get(8)?,
        position: row.get(9)?,
        text: row.get(10)?,
    })
}

fn kind_to_number(kind: RecordKind) -> i64 {
    match kind {
        RecordKind::Recipe => 0,
        RecordKind::Content => 1,
        RecordKind::Other => 2,
    }
}

fn kind_from_number(number: i64) -> RecordKind {
    match number {
        0 => RecordKind::Recipe,
        1 => RecordKind::Content,
        _ => RecordKind::Other,
    }
}

/// Drops a record's rows.
pub(crate) fn forget(tx: &Connection, key: &Key) -> Result<(), WriteError> {
    tx.prepare_cached("delete from record_layers where key = ?1")?.execute([key])?;
    tx.prepare_cached("delete from records where key = ?1")?.execute([key])?;
    Ok(())
}
