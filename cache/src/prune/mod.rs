//! Freeing space: a plan with a reason for each entry, then its execution.
//!
//! Never goes: what is leased by a live process, pinned, or part of an image that has a name.
//! Then, least recently used first: images without a name, what nothing names, forms that another
//! form can bring back, and at last the results of steps.

mod budget;
mod defaults;
mod execute;
mod leftovers;
mod plan;

use std::time::{Duration, SystemTime};

use crate::lock::{self, Hold};
use crate::{Kind, Store, StoreError};

pub use budget::{Budget, Keeping};
pub use defaults::Caps;
pub(crate) use leftovers::{orphans, remove_orphan};

/// What to prune.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// Also cache mounts, and forms of layers in use that another form can bring back. With a
    /// budget these go anyway, if need be.
    pub all: bool,
    /// Only layers and blobs that no image and no record of a step names: what is left of images
    /// that were removed. The build cache stays whole.
    pub orphans: bool,
    /// Only what is made again most easily: context indexes and cache mounts. The limits are about
    /// these alone.
    pub temporary: bool,
    /// Only what passes all of these.
    pub filters: Vec<Filter>,
    /// What was used within this time stays, also if a budget can't be kept then.
    pub keep: Option<Duration>,
    /// Prune only until the store takes no more than this.
    pub max_used_space: Option<u64>,
    /// Prune only until the file system has this much free.
    pub min_free_space: Option<u64>,
    /// Never prune below this.
    pub reserved_space: Option<u64>,
    /// Only say what would go.
    pub dry_run: bool,
    /// What stands for the present.
    pub now: Option<SystemTime>,
}

/// A condition on what is pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// `until=`: not used for this long.
    Until(Duration),
    /// `id=`: its id begins so.
    Id(String),
    /// `description=`: its description contains this.
    Description(String),
    /// `type=`.
    Kind(Kind),
}

/// What pruning did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// What went, in that order.
    pub freed: Vec<Freed>,
    /// The sum of their sizes.
    pub bytes: u64,
    /// What the store takes now, or would.
    pub remaining: u64,
    /// Things that could not be removed, and why; their space is not free.
    pub failures: Vec<String>,
}

/// Something that went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freed {
    /// Its name.
    pub id: String,
    /// What it was.
    pub kind: Kind,
    /// What it was for.
    pub description: String,
    /// Bytes on disk.
    pub size: u64,
    /// Why it went.
    pub reason: String,
    /// When it was last used, if that is known.
    pub last_used: Option<SystemTime>,
}

impl Store {
    /// Frees space. One process at a time prunes; builds may go on meanwhile.
    ///
    /// # Errors
    /// When the store can't be read or written. What could not be removed is in the report.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport, StoreError> {
        let _one = lock::take(&self.inner.layout.locks().join("prune"), Hold::Exclusive)?;
        let inner = &self.inner;
        if options.dry_run {
            return Ok(plan::make(inner, options)?.into_report());
        }
        // On a full disk not even a row can be changed: what is kept for this day makes room.
        inner.spend_reserve()?;
        let mut report = plan::make(inner, options).and_then(|plan| execute::run(inner, plan));
        // Pruning writes, too: what the database grew by has to fit as well.
        for _ in 0..3 {
            let Ok(so_far) = &mut report else { break };
            if options.max_used_space.is_none() || so_far.freed.is_empty() {
                break;
            }
            let again = plan::make(inner, options).and_then(|plan| execute::run(inner, plan))?;
            let done = again.freed.is_empty();
            so_far.join(again);
            if done {
                break;
            }
        }
        inner.keep_reserve();
        report
    }
}
