//! What goes wrong with layers.

use std::io;

use gantry_tree::{ManifestError, TreeError, TreePath};

/// A layer could not be written, read or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The tar's bytes could not be read.
    #[error("Failed to read the layer")]
    Read(#[source] io::Error),
    /// The tar's bytes could not be written.
    #[error("Failed to write the layer")]
    Write(#[source] io::Error),
    /// A file of the tree could not be read.
    #[error("Failed to read `{path}` for the layer")]
    Content {
        /// Which file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the tree has another length than its manifest says.
    #[error(
        "`{path}` changed while the layer was written: it has {found} bytes instead of {expected}"
    )]
    Changed {
        /// Which file.
        path: TreePath,
        /// What the manifest says.
        expected: u64,
        /// What was read; the expected size plus 1 where there was more.
        found: u64,
    },
    /// The bytes are no tar, or a broken one.
    #[error("Failed to understand the layer's tar at byte {offset}: {reason}")]
    Malformed {
        /// Where the offending header starts.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A member that would leave the layer, or that means two things.
    #[error("Refused `{name}` in the layer: {reason}")]
    Refused {
        /// The member's name as written.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// More of something than the limits allow.
    #[error("Refused the layer: more than {limit} {what}")]
    TooLarge {
        /// "bytes of files", "entries", …
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A file operation in the destination failed.
    #[error("Failed to unpack `{path}`")]
    Place {
        /// Which member.
        path: TreePath,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// What was read does not make up a tree.
    #[error("The layer's members do not make up a tree")]
    Tree(#[from] ManifestError),
}

impl LayerError {
    /// Is it the layer's fault (hostile or broken), and not the disk's or the network's?
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. } | Self::Refused { .. } | Self::TooLarge { .. } | Self::Tree(_)
        )
    }

    pub(crate) fn refused(name: &[u8], reason: impl Into<String>) -> Self {
        Self::Refused { name: String::from_utf8_lossy(name).into_owned(), reason: reason.into() }
    }
}
