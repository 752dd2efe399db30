//! What can go wrong with a store, told so that the caller can act on it.
//!
//! A full disk is its own variant wherever it turns up ([`StoreError::Full`]): the step fails, the
//! store stays whole, and the user gets to hear about space and not about SQLite.

use std::io;
use std::path::{Path, PathBuf};

use gantry_image::layer::LayerError;
use gantry_image::{DiffId, Digest};
use gantry_tree::TreeError;

use crate::{FetchError, LayerId};

/// Anything that a store refuses or fails to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store's format is one that this program does not know yet.
    #[error(
        "The store at `{}` was made by a newer gantry (format {found}, this one knows {known})",
        root.display()
    )]
    Newer {
        /// The store's root.
        root: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// There is no store, and it was not asked to make one.
    #[error("There is no store at `{}`", root.display())]
    Missing {
        /// Where it was looked for.
        root: PathBuf,
    },
    /// A file `gantry.db` is there, and it is somebody else's.
    #[error("`{}` is not a store's database", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The database does not read as one any more.
    #[error("The database `{}` is damaged", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The disk (or the quota) is full. What was half written is gone again.
    #[error("There is no space left on the disk for {what}")]
    Full {
        /// What was to be written.
        what: String,
        /// The kernel's or SQLite's word.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process held the database for longer than anyone should wait.
    #[error("The database `{}` stayed locked by another process", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// SQLite failed in some other way.
    #[error("Failed to use the database `{}`", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A system call failed.
    #[error("Failed to {what}")]
    Io {
        /// What was being done, with the object named, such as "write `x`".
        what: String,
        /// The kernel's word.
        source: io::Error,
    },
    /// A blob's bytes are not the ones that were promised. Nothing of them is kept.
    #[error("The bytes of `{expected}` have the digest `{actual}`")]
    DigestMismatch {
        /// What they should have been.
        expected: Digest,
        /// What they are.
        actual: Digest,
    },
    /// A layer's tar is not the one that was promised. Nothing of it is kept.
    #[error("The layer `{layer}` unpacks to diff ID `{}` instead of `{}`", actual.0, expected.0)]
    DiffIdMismatch {
        /// The layer.
        layer: LayerId,
        /// What the image says.
        expected: DiffId,
        /// What its bytes say.
        actual: DiffId,
    },
    /// The layer is not in the store (any more): build or pull it again.
    #[error("The layer `{layer}` is not in the store")]
    LayerGone {
        /// The layer.
        layer: LayerId,
    },
    /// The layer is there, but in no form that can give what was asked.
    #[error("The layer `{layer}` is in the store in no form that its files can be read from")]
    NoForm {
        /// The layer.
        layer: LayerId,
    },
    /// A layer was not needed so far, and whoever needs it now can't reach registries.
    #[error("The layer `{layer}` of {image} has not been fetched")]
    NotFetched {
        /// The layer.
        layer: LayerId,
        /// An image that has it.
        image: String,
    },
    /// A layer was not needed so far, and can't be fetched now.
    #[error("Failed to fetch the layer `{digest}` of {image}")]
    Fetch {
        /// Its blob.
        digest: Digest,
        /// The image that had it.
        image: String,
        /// Why.
        source: FetchError,
    },
    /// A blob is named and is not there.
    #[error("The blob `{digest}` is not in the store")]
    BlobGone {
        /// The blob.
        digest: Digest,
    },
    /// A file of the store does not read as what it should be.
    #[error("`{}` is damaged: {why}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A layer's tar or tree could not be read or written.
    #[error("Failed to {what}")]
    Layer {
        /// What was being done.
        what: String,
        /// What the layer code says.
        source: Box<LayerError>,
    },
    /// A tree could not be read or written.
    #[error("Failed to {what}")]
    Tree {
        /// What was being done.
        what: String,
        /// What the tree code says.
        source: Box<TreeError>,
    },
    /// Docker's words for a name or id that nothing answers to.
    #[error("No such image: {name}")]
    NoSuchImage {
        /// What was asked for.
        name: String,
    },
    /// No image that a name stands for runs on a platform.
    #[error(
        "image with reference {name} was found but does not provide the specified platform \
         ({wanted})"
    )]
    NoPlatform {
        /// The name.
        name: String,
        /// What was asked for.
        wanted: Box<gantry_image::Platform>,
        /// What there is.
        available: Vec<gantry_image::Platform>,
    },
    /// More than one image's id begins so.
    #[error("The image ID prefix `{prefix}` is ambiguous: {count} images begin with it")]
    AmbiguousImage {
        /// What was asked for.
        prefix: String,
        /// How many answer to it.
        count: usize,
    },
    /// Nothing in the history of builds answers to that.
    #[error("No such build: {text}")]
    NoSuchBuild {
        /// What was asked for.
        text: String,
    },
    /// More than one build's id begins so.
    #[error("More than one build's ID begins with `{text}`")]
    AmbiguousBuild {
        /// What was asked for.
        text: String,
    },
    /// An image is not deleted by its id while several repositories name it (docker's words).
    #[error(
        "conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"
    )]
    ImageReferenced {
        /// The short id.
        id: String,
    },
    /// An image is not deleted while a container (or whoever pinned it) uses it.
    #[error("conflict: {}", image_used(name.as_deref(), id, owner))]
    ImageUsed {
        /// The last name, if it was asked for by that.
        name: Option<String>,
        /// The short id.
        id: String,
        /// Who pinned it.
        owner: String,
    },
}

/// Docker's words, for an image that was named and for one that was known by its id.
fn image_used(name: Option<&str>, id: &str, owner: &str) -> String {
    let user = match owner.strip_prefix("container:") {
        Some(container) => format!("container {}", container.get(..12).unwrap_or(container)),
        None => owner.to_owned(),
    };
    match name {
        Some(name) => format!(
            "unable to remove repository reference \"{name}\" (must force) - {user} is using its \
             referenced image {id}"
        ),
        None => {
            format!("unable to delete {id} (must be forced) - image is being used by {user}")
        }
    }
}

impl StoreError {
    /// Wraps a failed system call; `what` reads on after "Failed to".
    pub fn io(what: impl Into<String>, source: io::Error) -> StoreError {
        let what = what.into();
        if is_full(&source) {
            StoreError::Full { what: format!("what it takes to {what}"), source: Box::new(source) }
        } else {
            StoreError::Io { what, source }
        }
    }

    /// Wraps what SQLite says about the database at `path`.
    pub(crate) fn database(path: &Path, source: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode as Code;
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(Code::DiskFull) => {
                let what = format!("the database `{}`", path.display());
                StoreError::Full { what, source: Box::new(source) }
            }
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => StoreError::Busy { path },
            Some(Code::DatabaseCorrupt) => StoreError::Damaged { path, source },
            Some(Code::NotADatabase) => StoreError::NotAStore { path },
            _ => StoreError::Database { path, source },
        }
    }

    /// Wraps what the tree room says; a full disk comes out as such.
    pub(crate) fn tree(what: impl Into<String>, source: TreeError) -> StoreError {
        let what = what.into();
        if chain_is_full(&source) {
            StoreError::Full { what: format!("what it takes to {what}"), source: Box::new(source) }
        } else {
            StoreError::Tree { what, source: Box::new(source) }
        }
    }

    /// Wraps what the layer code says; a full disk comes out as such.
    pub(crate) fn layer(what: impl Into<String>, source: LayerError) -> StoreError {
        let what = what.into();
        if chain_is_full(&source) {
            StoreError::Full { what: format!("what it takes to {what}"), source: Box::new(source) }
        } else {
            StoreError::Layer { what, source: Box::new(source) }
        }
    }

    /// Says whether a full disk or quota is behind this.
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Full { .. })
    }

    /// What the user can do about it, where that is not plain from the message.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            StoreError::Newer { .. } => {
                "Use the newer gantry, or another store with `--root`".to_owned()
            }
            StoreError::Damaged { .. } => {
                "Run `gantry fsck --repair` to set it aside; what it knew is built again".to_owned()
            }
            StoreError::BadFile { .. } => {
                "Run `gantry fsck --repair`; what it removes is built again".to_owned()
            }
            StoreError::Full { .. } => "Run `gantry prune` to free space".to_owned(),
            StoreError::NoPlatform { available, .. } => {
                let there: Vec<String> =
                    available.iter().map(|platform| format!("`{platform}`")).collect();
                format!("It is there for {}", there.join(", "))
            }
            StoreError::NotFetched { image, .. } => {
                format!("Run `gantry pull {image}`, which fetches all layers")
            }
            StoreError::Fetch { .. } => {
                "Nothing has needed this layer so far; `gantry pull` fetches all layers at once"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

/// Says whether the kernel ran out of space or quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        || error.get_ref().is_some_and(|inner| chain_is_full(inner))
}

/// Looks for a full disk anywhere in a chain of causes.
fn chain_is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(is_full) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Names what was being done when a system call failed.
pub(crate) trait Context<T> {
    /// `what` reads on after "Failed to".
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::io(what(), source.into()))
    }
}
