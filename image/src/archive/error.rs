//! What goes wrong with archives.

use std::io;

use gantry_tree::TreeError;

use crate::digest::Digest;
use crate::json::ParseJsonError;
use crate::layer::LayerError;
use crate::reference::ParseReferenceError;

/// An archive could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive's bytes could not be read.
    #[error("Failed to read the archive")]
    Read(#[source] io::Error),
    /// Bytes could not be written.
    #[error("Failed to write `{name}` of the archive")]
    Write {
        /// Which member.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tar around it is broken or hostile.
    #[error("Failed to read the archive's tar")]
    Tar(#[source] LayerError),
    /// A directory could not be read.
    #[error("Failed to read the OCI layout")]
    Directory(#[source] TreeError),
    /// Neither a docker archive nor an OCI layout.
    #[error(
        "The archive holds no image: there is no `manifest.json`, `index.json` or `repositories`"
    )]
    NotAnArchive,
    /// A member that another one names is not there.
    #[error("`{0}` is not in the archive")]
    Missing(String),
    /// A member's name, or where its link leads, is outside the archive or goes round in circles.
    #[error("Refused `{name}` in the archive: {reason}")]
    Refused {
        /// The member.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A document of the archive is broken, ambiguous or too large.
    #[error("Failed to understand `{name}` of the archive")]
    Document {
        /// Which member.
        name: String,
        /// Why.
        #[source]
        source: ParseJsonError,
    },
    /// JSON of docker's own is broken.
    #[error("Failed to understand `{name}` of the archive")]
    Json {
        /// Which member.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A document has other bytes than its digest says.
    #[error("`{name}` of the archive is corrupt: its digest is `{found}` instead of `{expected}`")]
    Corrupt {
        /// Which member.
        name: String,
        /// What was promised.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// An image is called something that is no name.
    #[error("An image of the archive is called `{name}`")]
    Name {
        /// What it is called.
        name: String,
        /// Why that is no name.
        #[source]
        source: ParseReferenceError,
    },
    /// The image's parts contradict each other.
    #[error("Refused an image of the archive: {0}")]
    Inconsistent(String),
}

impl ArchiveError {
    pub(super) fn refused(name: &str, reason: impl Into<String>) -> Self {
        Self::Refused { name: name.to_owned(), reason: reason.into() }
    }
}
