//! Images in and out of the store by archives: `load`, `import` and `save`; and `commit`.
//!
//! Speaks to no terminal. What comes in isn't trusted: every layer is read and held against its
//! digests before the store knows of it, so a broken archive leaves nothing behind.

mod change;
mod commit;
mod import;
mod layer;
mod layer_bytes;
mod load;
mod save;
mod told;

pub(crate) use change::changes;
pub(crate) use commit::{Commit, commit};
pub(crate) use import::{Import, import};
pub(crate) use load::{Source, load};
pub(crate) use save::{Form, Saved, save, save_layout};
pub(crate) use told::Tell;

use std::io;

use gantry_cache::StoreError;
use gantry_image::archive::ArchiveError;
use gantry_image::layer::LayerError;
use gantry_image::{DiffId, ParseJsonError, Platform};

/// An archive could not be brought in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// The archive is broken, or isn't one.
    #[error("Failed to read the archive `{name}`")]
    Archive {
        /// What it is called.
        name: String,
        /// What is wrong.
        source: ArchiveError,
    },
    /// A layer is broken or hostile.
    #[error("Failed to read the layer `{layer}`")]
    Layer {
        /// Its diff ID, or where it comes from.
        layer: String,
        /// What is wrong.
        source: LayerError,
    },
    /// A layer's bytes are others than its image says.
    #[error("The layer `{}` has the diff ID `{}`", expected.0, actual.0)]
    DiffId {
        /// What the image says.
        expected: DiffId,
        /// What it is.
        actual: DiffId,
    },
    /// A config or manifest of the store can't be read.
    #[error("Failed to read the {name}")]
    Document {
        /// Whose.
        name: String,
        /// What is wrong.
        source: ParseJsonError,
    },
    /// Bytes could not be read or written.
    #[error("Failed to {what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// No image of the archive runs on the platform.
    #[error("`{name}` holds no image for {platform}")]
    NoPlatform {
        /// What the archive is called.
        name: String,
        /// What was asked for.
        platform: Box<Platform>,
    },
    /// A change of the config can't be understood.
    #[error("Failed to apply the change `{change}`: {message}")]
    Change {
        /// The instruction.
        change: String,
        /// What is wrong with it.
        message: String,
    },
    /// A layer could not be compressed as it was, or fetched.
    #[error(transparent)]
    Registry(#[from] gantry_executor::registry::TransferError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TransferError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}
