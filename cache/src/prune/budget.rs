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
    /// How many bytes of its file system are to stay free.
    pub min_free: Option<u64>,
    /// It never has to become smaller than this.
    pub reserved: Option<u64>,
    /// What was used within this time stays, also if that is too much then.
    pub keep: Option<Duration>,
}

/// What a store keeps to by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Nobody said anything: [`Caps`](super::Caps).
    Defaults,
    /// Nothing is ever pruned but by hand.
    Nothing,
    /// What somebody said.
    Budget(Budget),
}

const MODE: &str = "gc";
const MAX_SIZE: &str = "max-size";
const MIN_FREE: &str = "min-free";
const RESERVED: &str = "reserved";
const KEEP: &str = "keep";

/// The values of [`MODE`].
const NOTHING: u64 = 0;
const BUDGET: u64 = 1;

impl Store {
    /// Returns what the store keeps to.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn keeps_to(&self) -> Result<Keeping, StoreError> {
        self.inner.db.read(|connection| {
            let number = |name| number(connection, name);
            let budget = Budget {
                max_size: number(MAX_SIZE)?,
                min_free: number(MIN_FREE)?,
                reserved: number(RESERVED)?,
                keep: number(KEEP)?.map(Duration::from_secs),
            };
            Ok(match number(MODE)? {
                Some(NOTHING) => Keeping::Nothing,
                // A store of an older gantry says no more than its budget.
                None if budget.max_size.is_none() => Keeping::Defaults,
                _ => Keeping::Budget(budget),
            })
        })
    }

    /// Returns the budget that the store keeps to; an empty one if nobody gave it one.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn budget(&self) -> Result<Budget, StoreError> {
        Ok(match self.keeps_to()? {
            Keeping::Budget(budget) => budget,
            Keeping::Defaults | Keeping::Nothing => Budget::default(),
        })
    }

    /// Says what the store keeps to from now on.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_keeping(&self, keeping: &Keeping) -> Result<(), StoreError> {
        let (mode, budget) = match keeping {
            Keeping::Defaults => (None, Budget::default()),
            Keeping::Nothing => (Some(NOTHING), Budget::default()),
            Keeping::Budget(budget) => (Some(BUDGET), *budget),
        };
        let numbers = [
            (MODE, mode),
            (MAX_SIZE, budget.max_size),
            (MIN_FREE, budget.min_free),
            (RESERVED, budget.reserved),
            (KEEP, budget.keep.map(|keep| keep.as_secs())),
        ];
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

    /// Sets the budget that the store keeps to from now on.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_budget(&self, budget: &Budget) -> Result<(), StoreError> {
        self.set_keeping(&Keeping::Budget(*budget))
    }

    /// Prunes if the store takes more than its budget. Costs one read if it has none.
    ///
    /// What live processes use stays, of course: a build that needs more than the budget gets it.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub fn keep_to_budget(&self) -> Result<PruneReport, StoreError> {
        let budget = self.budget()?;
        if budget.max_size.is_none() && budget.min_free.is_none() {
            return Ok(PruneReport::default());
        }
        let options = PruneOptions {
            max_used_space: budget.max_size,
            min_free_space: budget.min_free,
            reserved_space: budget.reserved,
            keep: budget.keep,
            ..PruneOptions::default()
        };
        // Bounds of what layers take, which are measured only if they say too much.
        if super::plan::goal_of(&self.inner, &options, &Snapshot::take(&self.inner)?)? == 0 {
            return Ok(PruneReport::default());
        }
        self.prune(&options)
    }
}

pub(super) fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = connection
        .prepare_cached("select value from meta where name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|value| u64::try_from(value).ok()))
}
