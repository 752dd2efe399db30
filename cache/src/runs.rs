//! Runs: what is remembered of a step after its result is gone, to explain why it ran again.
//!
//! A record is a result, and goes when its layers go. A run stays a while: what its key was made
//! from, how long it took, and what became of its result. Nothing is built from it.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension};

use crate::db::{WriteError, from_millis};
use crate::{Key, NewRecord, Records, StoreError};

/// How many runs are remembered of one place.
const KEPT: i64 = 8;

/// How long a run is remembered whose result is gone.
const MEMORY: Duration = Duration::from_secs(60 * 86400);

/// Where a step stands: what stays the same when its inputs change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceOfRun<'a> {
    /// What is built: context and Dockerfile, in any words.
    pub project: &'a str,
    /// The stage.
    pub stage: &'a str,
    /// The place in there.
    pub position: u32,
    /// The instruction as it is written.
    pub text: &'a str,
}

/// A step that ran once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The key of its record, if that is still there.
    pub key: Key,
    /// How long it took.
    pub took: Duration,
    /// When it ran.
    pub created: SystemTime,
    /// Why its result was pruned, if it was.
    pub gone: Option<String>,
}

impl Records<'_> {
    /// Finds earlier runs of what is likely the same step, the likeliest first: of the same text or
    /// the same place in this project, then of the same text elsewhere; newer ones first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn runs(&self, place: &PlaceOfRun<'_>) -> Result<Vec<Run>, StoreError> {
        self.inner.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select key, took, created, gone from runs \
                 where (project = ?1 and stage = ?2 and position = ?3) or text = ?4 \
                 order by 4 * (project = ?1) + 2 * (text = ?4) \
                     + (project = ?1 and stage = ?2 and position = ?3) desc, \
                     created desc limit 16",
            )?;
            let found = statement.query_map(
                (place.project, place.stage, place.position, place.text),
                |row| {
                    let millis: i64 = row.get(1)?;
                    Ok(Run {
                        key: row.get(0)?,
                        took: Duration::from_millis(millis.unsigned_abs()),
                        created: from_millis(row.get(2)?),
                        gone: row.get(3)?,
                    })
                },
            )?;
            found.collect()
        })
    }

    /// Returns what a run's key was made from.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn preimage(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let packed: Option<Vec<u8>> = self.inner.db.read(|connection| {
            connection
                .prepare_cached("select data from preimages where key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()
        })?;
        let Some(packed) = packed else { return Ok(None) };
        zstd::stream::decode_all(&packed[..]).map(Some).map_err(|source| StoreError::Io {
            what: format!("unpack the preimage of the record `{key}`"),
            source,
        })
    }
}

/// Packs a preimage for a [`NewRecord`]. Large ones take a while, so it is done beforehand.
///
/// # Errors
/// When there is no memory for it.
pub fn pack_preimage(preimage: &[u8]) -> Result<Vec<u8>, StoreError> {
    // A higher level gains next to nothing: most of it are digests.
    zstd::bulk::compress(preimage, 1).map_err(|source| StoreError::Io {
        what: "compress a record's preimage".to_owned(),
        source,
    })
}

/// Remembers a run, and forgets the oldest ones of the same place.
pub(crate) fn remember(
    tx: &Connection,
    new: &NewRecord<'_>,
    packed: &[u8],
    now: i64,
) -> Result<(), WriteError> {
    let millis = i64::try_from(new.took.as_millis()).unwrap_or(i64::MAX);
    tx.prepare_cached("insert or replace into runs values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null)")?
        .execute((new.key, new.project, new.stage, new.position, new.text, millis, now))?;
    tx.prepare_cached("insert or replace into preimages values (?1, ?2)")?
        .execute((new.key, packed))?;
    let surplus = "select key from runs where project = ?1 and stage = ?2 and position = ?3 \
                   order by created desc limit -1 offset ?4";
    let place = (new.project, new.stage, new.position, KEPT);
    tx.prepare_cached(&format!("delete from preimages where key in ({surplus})"))?
        .execute(place)?;
    tx.prepare_cached(&format!("delete from runs where key in ({surplus})"))?.execute(place)?;
    Ok(())
}

/// Notes why the results that a layer is part of are about to go, or that they stay after all.
pub(crate) fn note_gone(
    tx: &Connection,
    layer: &crate::LayerId,
    reason: Option<&str>,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "update runs set gone = ?2 where key in (select key from record_layers where layer = ?1)",
    )?
    .execute((layer, reason))?;
    Ok(())
}

/// Forgets runs of long ago whose results are gone.
pub(crate) fn forget_old(tx: &Connection, now: i64) -> rusqlite::Result<()> {
    let before = now - i64::try_from(MEMORY.as_millis()).unwrap_or(i64::MAX);
    let old = "select key from runs where created < ?1 and key not in (select key from records)";
    tx.prepare_cached(&format!("delete from preimages where key in ({old})"))?.execute([before])?;
    tx.prepare_cached(&format!("delete from runs where key in ({old})"))?.execute([before])?;
    Ok(())
}
