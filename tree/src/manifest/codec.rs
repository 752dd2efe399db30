//! A manifest as bytes, and back.

use super::{Manifest, ManifestError};

/// Some bytes are no manifest that this version reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first bytes are another file's.
    #[error("The data is not a manifest")]
    NotAManifest,
    /// A newer gantry wrote it.
    #[error("The manifest has format {0}, this gantry knows 1")]
    Version(u8),
    /// It ends too early, goes on too long, or holds a value that no writer writes.
    #[error("The manifest is damaged at byte {0}")]
    Damaged(usize),
    /// Its entries are readable, but make up no tree.
    #[error("The manifest lists what is no tree")]
    Malformed(#[from] ManifestError),
}

impl Manifest {
    /// Writes the manifest as versioned, length-prefixed binary. Equal manifests give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads what [`encode`](Self::encode) wrote. Safe on hostile bytes: takes memory in
    /// proportion to `bytes` only, and accepts just the one encoding that each manifest has.
    ///
    /// # Errors
    /// [`DecodeError`] for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        todo!()
    }
}
