//! What a store keeps to of which nobody said anything: BuildKit's limits, by the size of the disk.
//!
//! ```text
//! at most      80 % of the disk, and no more than 100 GB
//! free         at least 20 % of the disk
//! but never    below 10 % of the disk, or 10 GB if that is less
//! and          context indexes and cache mounts that nobody used for two days: 512 MB
//! ```
//! What nobody used for 60 days goes first.

use std::time::{Duration, SystemTime};

use super::{PruneOptions, PruneReport};
use crate::db::{from_millis, to_millis};
use crate::usage::Snapshot;
use crate::{Kind, Store, StoreError};

/// The kinds that are made again most easily.
pub(super) const TEMPORARY: [Kind; 2] = [Kind::Context, Kind::CacheMount];

/// How much those may take that nobody used lately.
const TEMPORARY_BYTES: u64 = 512_000_000;

/// What was used within this time is not among those.
const LATELY: Duration = Duration::from_secs(48 * 3600);

/// What nobody used for this long goes before anything else.
const LONG: Duration = Duration::from_secs(60 * 86400);

/// A store looks after itself no more often than this.
const PAUSE: Duration = Duration::from_secs(60);

/// The row that says when a store last looked after itself.
const LOOKED: &str = "gc-looked";

const GB: u64 = 1_000_000_000;

/// How large a store may become by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The most bytes that it may take.
    pub max_used: u64,
    /// How many bytes of the disk are to stay free.
    pub min_free: u64,
    /// It never has to become smaller than this.
    pub reserved: u64,
    /// How much may be taken by what is made again most easily and was not used for two days.
    pub temporary: u64,
}

impl Caps {
    /// Returns the limits for a disk of so many bytes.
    #[must_use]
    pub fn of_disk(bytes: u64) -> Caps {
        let part = |percent: u64| bytes / 100 * percent;
        Caps {
            max_used: part(80).min(100 * GB),
            min_free: part(20),
            reserved: part(10).min(10 * GB),
            temporary: TEMPORARY_BYTES,
        }
    }
}

impl Store {
    /// Prunes as the budget says, or by default as [`Caps`] say. To be called after a build that
    /// made something; more often than once a minute it does nothing by default.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub fn collect_garbage(&self) -> Result<PruneReport, StoreError> {
        match self.keeps_to()? {
            super::Keeping::Nothing => Ok(PruneReport::default()),
            super::Keeping::Budget(_) => self.keep_to_budget(),
            super::Keeping::Defaults => {
                if !self.may_look()? {
                    return Ok(PruneReport::default());
                }
                let root = self.inner.layout.root();
                let disk = rustix::fs::statvfs(root).map_err(|error| {
                    StoreError::io(format!("look at `{}`", root.display()), error.into())
                })?;
                self.keep_to(&Caps::of_disk(disk.f_blocks * disk.f_frsize), SystemTime::now())
            }
        }
    }

    /// Prunes if the store is beyond these limits. Costs one look at it if it isn't.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub fn keep_to(&self, caps: &Caps, now: SystemTime) -> Result<PruneReport, StoreError> {
        let mut report = PruneReport::default();
        let common = PruneOptions { now: Some(now), ..PruneOptions::default() };
        let temporary = PruneOptions {
            temporary: true,
            keep: Some(LATELY),
            max_used_space: Some(caps.temporary),
            ..common.clone()
        };
        let limits = PruneOptions {
            max_used_space: Some(caps.max_used),
            min_free_space: Some(caps.min_free),
            reserved_space: Some(caps.reserved),
            ..common
        };
        let long = PruneOptions { keep: Some(LONG), ..limits.clone() };
        let snapshot = Snapshot::take(&self.inner)?;
        for options in [temporary, long, limits] {
            // Bounds are enough to see that nothing is to be done, which is nearly always so.
            if super::plan::goal_of(&self.inner, &options, &snapshot)? > 0 {
                report.join(self.prune(&options)?);
            }
        }
        Ok(report)
    }

    /// Says whether the last look was long enough ago, and notes that there is one now.
    fn may_look(&self) -> Result<bool, StoreError> {
        let now = SystemTime::now();
        let last = self.inner.db.read(|connection| super::budget::number(connection, LOOKED))?;
        let last = last.and_then(|millis| i64::try_from(millis).ok()).map(from_millis);
        // A clock that went back is no reason never to look again.
        let lately = last.is_some_and(|last| now.duration_since(last).is_ok_and(|d| d < PAUSE));
        if !lately {
            self.inner.db.write(|tx| {
                let value = to_millis(now);
                tx.execute("insert or replace into meta values (?1, ?2)", (LOOKED, value))?;
                Ok(())
            })?;
        }
        Ok(!lately)
    }
}
