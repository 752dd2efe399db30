//! Holding the store against its promises.

mod check;
mod repair;
mod tree;

use crate::lock::{self, Hold};
use crate::{Store, StoreError};

/// How closely to look, and what to do about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FsckOptions {
    /// Read every byte: blobs' digests, files' contents. Else only names, sizes and stats.
    pub deep: bool,
    /// Remove what is broken, so that builds make it again, and what was left behind.
    pub repair: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// What is not as promised.
    pub problems: Vec<Problem>,
    /// How many layers were looked at.
    pub layers: u64,
    /// How many blobs.
    pub blobs: u64,
    /// How many records.
    pub records: u64,
    /// How many images.
    pub images: u64,
}

impl FsckReport {
    /// Says whether nothing is broken. What a killed process left behind breaks nothing.
    pub fn is_clean(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity == Severity::Leftover)
    }
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Takes space and nothing else.
    Leftover,
    /// A promise is broken: a build or run that uses this goes wrong.
    Damage,
}

/// One thing that is not as promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, such as "layer `x`".
    pub object: String,
    /// What is wrong.
    pub what: String,
    /// Says whether it was removed.
    pub repaired: bool,
}

impl Store {
    /// Checks the store, and with `repair` removes what is broken.
    ///
    /// # Errors
    /// When the store can't be read at all. What is wrong inside of it is in the report.
    pub fn fsck(&self, options: FsckOptions) -> Result<FsckReport, StoreError> {
        let _one = lock::take(&self.inner.layout.locks().join("prune"), Hold::Exclusive)?;
        let mut findings = check::all(&self.inner, options.deep)?;
        if options.repair {
            repair::all(&self.inner, &mut findings)?;
        }
        Ok(findings.report)
    }
}
