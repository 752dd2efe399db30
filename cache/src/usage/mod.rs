//! What takes how much space, and why it is kept.

mod files;
mod measure;
mod report;
mod rows;
mod snapshot;

use std::time::SystemTime;

use crate::{Store, StoreError};

pub(crate) use measure::{Seen, disk_usage, remeasure_shared, trees as measure_trees};
pub(crate) use report::{image_title, layer_title};
pub(crate) use snapshot::{LayerUsage, Snapshot};

/// What sort of thing takes space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// An image: takes nothing by itself, its layers and blobs do.
    Image,
    /// A layer with its tree, tar and manifest.
    Layer,
    /// A blob.
    Blob,
    /// What steps printed.
    Log,
    /// What is remembered of a build.
    Build,
    /// A context index.
    Context,
    /// A cache mount.
    CacheMount,
    /// What processes work on, or left behind.
    Work,
    /// The database and the store's own directories.
    Store,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Kind; 9] = [
        Kind::Image,
        Kind::Layer,
        Kind::Blob,
        Kind::Log,
        Kind::Build,
        Kind::Context,
        Kind::CacheMount,
        Kind::Work,
        Kind::Store,
    ];

    /// The word for it, as `--filter type=` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Image => "image",
            Kind::Layer => "layer",
            Kind::Blob => "blob",
            Kind::Log => "log",
            Kind::Build => "build.history",
            Kind::Context => "source.local",
            Kind::CacheMount => "exec.cachemount",
            Kind::Work => "work",
            Kind::Store => "internal",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = NoSuchKind;

    fn from_str(text: &str) -> Result<Kind, NoSuchKind> {
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| NoSuchKind { text: text.to_owned() })
    }
}

/// A text that names no [`Kind`].
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no type of cache entry")]
pub struct NoSuchKind {
    text: String,
}

/// One thing that takes space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Its name: an id, digest, or path below the store's root.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What it is for, in a few words.
    pub description: String,
    /// Bytes on disk. A file that several layers share is counted with the oldest of them.
    pub size: u64,
    /// When it came to be.
    pub created: Option<SystemTime>,
    /// When it was last used.
    pub last_used: Option<SystemTime>,
    /// Who needs it right now, if anyone.
    pub used_by: Option<String>,
    /// Says whether pruning may remove it.
    pub reclaimable: bool,
}

impl Store {
    /// Lists all that takes space below the store's root, but for what containers own. The sum of
    /// the sizes is what `du` says of the same files.
    ///
    /// # Errors
    /// When something can't be measured.
    pub fn du(&self) -> Result<Vec<Usage>, StoreError> {
        // Where the kernel has yet to find places for files, they may take more in the end. If it
        // can't write them now, what they take is what can be seen.
        let _ = self.inner.sync();
        measure_trees(&self.inner)?;
        report::usages(&Snapshot::take(&self.inner)?)
    }
}
