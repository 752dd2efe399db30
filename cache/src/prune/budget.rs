//! The budget that a store keeps to by itself, also while builds run.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::{PruneOptions, PruneReport};
use crate::usage::Snapshot;
use crate::{Store, StoreError};

/// How large a store may become, and what stays in it all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// The most bytes that it may take.
    pub max_size: Option<u64>,
    /// What was used within this time stays, also if that is too much then.
    pub keep: Option<Duration>,
}

const MAX_SIZE: &str = "max-size";
const KEEP: &str = "keep";

impl Store {
    /// Returns the budget that the store keeps to.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn budget(&self) -> Result<Budget, StoreError> {
        let (max_size, keep) = self
            .inner
            .db
            .read(|connection| Ok((number(connection, MAX_SIZE)?, number(connection, KEEP)?)))?;
        Ok(Budget { max_size, keep: keep.map(Duration::from_secs) })
    }

    /// Sets the budget that the store keeps to from now on.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_budget(&self, budget: &Budget) -> Result<(), StoreError> {
        let numbers = [(MAX_SIZE, budget.max_size), (KEEP, budget.keep.map(|keep| keep.as_secs()))];
        self.inner.db.write(|tx| {
            for (name, number) in numbers {
                match number {
                    Some(number) => {
                        let number = i64::try_from(number).unwrap_or(i64::MAX);
                        tx.execute("insert or replace into meta values (?1, ?2)", (name, number))?;
                    }
                    None => drop(tx.execute("delete from meta where name = ?1", [name])?),
                }
            }
            Ok(())
        })
    }

    /// Prunes if the store takes more than its budget. Costs one read if it has none.
    ///
    /// What live processes use stays, of course: a build that needs more than the budget gets it.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub fn keep_to_budget(&self) -> Result<PruneReport, StoreError> {
        let Budget { max_size: Some(most), keep } = self.budget()? else {
            return Ok(PruneReport::default());
        };
        // Bounds of what layers take, which are measured only if they say too much.
        if Snapshot::take(&self.inner)?.total() <= most {
            return Ok(PruneReport::default());
        }
        self.prune(&PruneOptions { max_used_space: Some(most), keep, ..PruneOptions::default() })
    }
}

fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = connection
        .prepare_cached("select value from meta where name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|value| u64::try_from(value).ok()))
}
