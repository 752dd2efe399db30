//! Caches elsewhere: results of steps that other stores can use, in BuildKit's format.
//!
//! ```text
//! config    the document: which layers lie upon which, which step gave which of them
//! write     the document of a build
//! read      a document that was found, step by step
//! layout    an OCI layout directory (`type=local`)
//! ```
//!
//! A cache is a manifest that names a document and layers. Whoever can read and write blobs by
//! digest, and one manifest by name, can hold one: that is [`RemoteCache`]. Where nothing but names
//! and bytes is known (`type=s3`, `type=gha`), the document is by itself, and describes its layers.
//! Nothing of a layer is read before somebody needs it.

mod config;
mod layout;
mod read;
mod write;

use std::fmt;
use std::io::{self, Read};

use gantry_image::{Descriptor, Digest, MediaType};

use crate::{Key, StoreError};

pub use config::{
    CACHE_CONFIG, CREATED, CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult,
    ChainedResult, INLINE_CACHE, LayerAnnotations, StepFacts, UNCOMPRESSED,
};
pub use layout::LayoutCache;
pub use read::{Imported, RemoteLayer, RemoteStep};
pub use write::{CacheWriter, Form, Step, Written};

/// A place that holds a cache. All calls block.
///
/// Several processes may write one cache; the last to [`commit`](Self::commit) wins, and a reader
/// sees the one or the other.
pub trait RemoteCache: fmt::Debug + Send + Sync {
    /// What it is called in messages.
    fn place(&self) -> String;

    /// Whether asking for blobs costs next to nothing.
    fn is_near(&self) -> bool;

    /// The full name by which an image in its place would be pulled, if it lies in a registry: then
    /// its blobs can be fetched later.
    fn image(&self) -> Option<String> {
        None
    }

    /// Reads what it is known by: a manifest, or documents that are by themselves, those first that
    /// are to be asked first. Empty if there is nothing.
    ///
    /// # Errors
    /// It can't be reached or read.
    fn found(&self) -> Result<Vec<Found>, RemoteError>;

    /// Opens a blob. The bytes are not to be trusted: hold them against the digest.
    ///
    /// # Errors
    /// It isn't there, or can't be read.
    fn read(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, RemoteError>;

    /// Says which of these blobs are not there.
    ///
    /// # Errors
    /// It can't be reached.
    fn missing(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError>;

    /// The same before something is written that names them: whoever removes what is old must see
    /// that those which are there are wanted still.
    ///
    /// # Errors
    /// As [`missing`](Self::missing).
    fn keep(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError> {
        self.missing(blobs)
    }

    /// How many blobs may be written at once.
    fn writers(&self) -> usize {
        1
    }

    /// Writes a blob, which is there whole afterwards, or not at all.
    ///
    /// # Errors
    /// It can't be written, `from` fails, or gives other bytes than described.
    fn write(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<(), RemoteError>;

    /// Takes a blob from where an image has it, by its full name, without any byte of it coming by
    /// here. Says whether it did; it needs not be able to.
    ///
    /// # Errors
    /// It can't be reached or written.
    fn take(&self, _blob: &Descriptor, _image: &str) -> Result<bool, RemoteError> {
        Ok(false)
    }

    /// Makes a manifest, or a document by itself, the one that the cache is known by. Its blobs were
    /// written before.
    ///
    /// # Errors
    /// It can't be written.
    fn commit(&self, manifest: &[u8], media_type: &MediaType) -> Result<(), RemoteError>;
}

/// What a cache is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A manifest or an index.
    Manifest(Vec<u8>),
    /// A document that describes its layers itself.
    Document(Vec<u8>),
}

/// A cache elsewhere could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Reading or writing failed.
    #[error("Failed to {what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A blob isn't there.
    #[error("The blob `{digest}` is missing in {place}")]
    BlobMissing {
        /// Its digest.
        digest: Digest,
        /// Where it was looked for.
        place: String,
    },
    /// A blob is another one than its digest says.
    #[error("A blob of {place} has the digest `{actual}` instead of `{expected}`")]
    Digest {
        /// Where it comes from.
        place: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// What is there is no cache, or a broken one.
    #[error("{place} holds no build cache that can be read: {why}")]
    Invalid {
        /// Where.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Whoever reaches the cache failed.
    #[error("Failed to {what}")]
    Transport {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store here failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RemoteError {
    /// Says what was being done when reading or writing failed.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// The digest by which a document knows a key.
///
/// Documents of BuildKit hold sha256 digests of its own vertices there; another preimage than any
/// of those, so that the two never meet.
pub fn key_digest(key: &Key) -> Digest {
    Digest::of(format!("gantry step key 1\n{key}").as_bytes())
}
