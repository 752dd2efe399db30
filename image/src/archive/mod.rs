//! Archives of images: docker's (`docker save`), and OCI layouts as directory or tar.
//!
//! ```text
//! source   where members are read from: a directory, a seekable tar, or a stream that is spooled
//! layout   reading OCI layouts: index.json ─► images
//! docker   reading docker archives: manifest.json, or the older `repositories` + VERSION/json
//! write    one tar that is both at once; OCI layouts as tar or directory
//! ```
//!
//! Archives aren't trusted: names are normalised and never leave the archive, links inside are
//! followed within it, documents are bounded, and every blob is checked against its digest while
//! it is read.

mod docker;
mod error;
mod layout;
mod source;
mod write;

use std::io::Read;
use std::path::Path;

use crate::config::ImageConfig;
use crate::digest::{DiffId, Digest};
use crate::json::Raw;
use crate::manifest::ImageManifest;
use crate::media_type::MediaType;
use crate::platform::Platform;
use crate::reference::Reference;

pub use error::ArchiveError;
pub use source::{DirectorySpool, Spool};
pub use write::{SaveImage, SaveLayer, write_docker, write_oci_directory, write_oci_tar};

/// An archive that was opened: its images, and a way to their layers' bytes.
pub struct Archive<'a> {
    images: Vec<ArchivedImage>,
    source: Box<dyn source::Source + 'a>,
}

/// An image of an archive. Several may bear one name, one a platform.
#[derive(Clone, Debug)]
pub struct ArchivedImage {
    /// What it is called; empty for an image without a name.
    pub names: Vec<Reference>,
    /// What it runs on.
    pub platform: Platform,
    /// Its manifest; docker archives that are no OCI layouts have none.
    pub manifest: Option<Raw<ImageManifest>>,
    /// Its config; the digest of it is the image ID.
    pub config: Raw<ImageConfig>,
    /// Its layers, lowest first, as many as the config has diff IDs.
    pub layers: Vec<ArchivedLayer>,
}

/// A layer of an image of an archive.
#[derive(Clone, Debug)]
pub struct ArchivedLayer {
    /// The digest of its tar, as the config says.
    pub diff_id: DiffId,
    /// The digest of its bytes as stored; unknown in a plain docker archive.
    pub digest: Option<Digest>,
    /// How many bytes are stored.
    pub size: u64,
    /// What it claims to be, if anything.
    pub media_type: Option<MediaType>,
    member: String,
}

impl<'a> Archive<'a> {
    /// Opens a directory (an OCI layout) or a file (a tar of either kind, maybe compressed).
    ///
    /// An uncompressed tar is read in place; a compressed one goes through `spool`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &Path, spool: &'a mut dyn Spool) -> Result<Self, ArchiveError> {
        let _ = (path, spool);
        todo!()
    }

    /// Reads a stream, maybe compressed, to its end; what it holds goes through `spool`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read(
        stream: impl Read + Send + 'a,
        spool: &'a mut dyn Spool,
    ) -> Result<Self, ArchiveError> {
        let _ = (stream, spool);
        todo!()
    }

    /// Lists the images, in the archive's order.
    #[must_use]
    pub fn images(&self) -> &[ArchivedImage] {
        &self.images
    }

    /// Opens a layer's bytes as stored. Reading to the end verifies its digest, where it is known.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_blob(
        &self,
        layer: &ArchivedLayer,
    ) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        let _ = layer;
        todo!()
    }

    /// Opens a layer's tar, decompressed. Reading to the end verifies its diff ID, and the blob's
    /// digest where that is known.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_tar(
        &self,
        layer: &ArchivedLayer,
    ) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        let _ = layer;
        todo!()
    }
}
