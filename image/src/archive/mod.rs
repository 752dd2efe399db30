//! Archives of images: docker's (`docker save`), and OCI layouts as directory or tar.
//!
//! ```text
//! source   where members are read from: what all have in common, and a directory
//! index    a tar's members by name; a tar that is read in place
//! spool    a stream, whose members the caller keeps
//! stretch  a member that lies in a file, in one piece
//! layout   reading OCI layouts: index.json ─► images
//! docker   reading docker archives: manifest.json, or the older `repositories` + VERSION/json
//! target   where members are written: a tar or a directory
//! layer    a layer's bytes written there, and held against their digest
//! output   what a tar goes to; files are copied into it inside of the kernel
//! whole    a file that appears when it is whole
//! write    one tar that is both at once; OCI layouts as tar or directory
//! ```
//!
//! Archives aren't trusted: names are normalised and never leave the archive, links inside are
//! followed within it, documents are bounded, and every blob is checked against its digest while
//! it is read.

mod docker;
mod error;
mod index;
mod layer;
mod layout;
mod output;
mod source;
mod spool;
mod stretch;
mod target;
mod whole;
mod write;

use std::io::{Read, Seek};
use std::path::Path;

use gantry_tree::Root;

use self::index::SeekableTar;
use self::source::{Directory, Source};
use self::spool::SpooledTar;
use crate::compress::{self, Compression, SNIFF_LEN, sniff};
use crate::config::ImageConfig;
use crate::digest::{DiffId, Digest, VerifyReader};
use crate::index::ImageIndex;
use crate::json::Raw;
use crate::manifest::{Descriptor, ImageManifest};
use crate::media_type::MediaType;
use crate::platform::Platform;
use crate::reference::Reference;

pub use error::ArchiveError;
pub use layer::LayerBytes;
pub use output::{Output, Streamed};
pub use spool::{DirectorySpool, Spool};
pub use stretch::{Copying, Stretch};
pub use whole::WholeFile;
pub use write::{
    SaveImage, SaveIndex, SaveLayer, write_docker, write_oci_directory, write_oci_tar,
};

/// An archive that was opened: its images, and a way to their layers' bytes.
pub struct Archive<'a> {
    images: Vec<ArchivedImage>,
    indexes: Vec<ArchivedIndex>,
    source: Box<dyn Source + 'a>,
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

/// An index of an OCI layout whose images are all there whole, and that has names.
#[derive(Clone, Debug)]
pub struct ArchivedIndex {
    /// What it is called.
    pub names: Vec<Reference>,
    /// The index, byte for byte.
    pub index: Raw<ImageIndex>,
    /// Where its images are among the archive's, in its order.
    pub images: Vec<usize>,
    /// What else it needs, such as what is said about an image: manifests and their blobs, and the
    /// images' manifests. All are in the archive.
    pub blobs: Vec<Descriptor>,
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

impl ArchivedLayer {
    /// Holds what its bytes, as stored, came to against what the archive says of them.
    ///
    /// # Errors
    /// [`ArchiveError::Corrupt`] for another digest, [`ArchiveError::Refused`] for another size.
    pub fn verify(&self, digest: Digest, size: u64) -> Result<(), ArchiveError> {
        match self.digest {
            Some(expected) if expected != digest => {
                Err(ArchiveError::Corrupt { name: self.member.clone(), expected, found: digest })
            }
            Some(_) if self.size != size => {
                let promised = self.size;
                let reason = format!("it has {size} bytes where {promised} were promised");
                Err(ArchiveError::refused(&self.member, reason))
            }
            _ => Ok(()),
        }
    }
}

impl<'a> Archive<'a> {
    /// Opens a directory (an OCI layout) or a file (a tar of either kind, maybe compressed).
    ///
    /// An uncompressed tar is read in place; a compressed one, and a pipe, goes through `spool`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &Path, spool: &'a mut dyn Spool) -> Result<Self, ArchiveError> {
        let metadata = fs_err::metadata(path).map_err(ArchiveError::Read)?;
        if metadata.is_dir() {
            let root = Root::open(path).map_err(ArchiveError::Directory)?;
            return Self::of(Box::new(Directory(root)));
        }
        let mut file = fs_err::File::open(path).map_err(ArchiveError::Read)?.into_parts().0;
        if metadata.is_file() {
            let mut first = Vec::with_capacity(SNIFF_LEN);
            file.by_ref()
                .take(SNIFF_LEN as u64)
                .read_to_end(&mut first)
                .map_err(ArchiveError::Read)?;
            if sniff(&first) == Compression::None {
                return Self::of(Box::new(SeekableTar::open(file)?));
            }
            file.rewind().map_err(ArchiveError::Read)?;
        }
        Self::read(file, spool)
    }

    /// Reads a stream, maybe compressed, to its end; what it holds goes through `spool`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read(
        stream: impl Read + Send + 'a,
        spool: &'a mut dyn Spool,
    ) -> Result<Self, ArchiveError> {
        let (_, tar) = compress::reader(stream).map_err(ArchiveError::Read)?;
        Self::of(Box::new(SpooledTar::read(tar, spool)?))
    }

    fn of(source: Box<dyn Source + 'a>) -> Result<Self, ArchiveError> {
        let mut indexes = Vec::new();
        let images = if layout::is_layout(&*source) {
            let read = layout::read(&*source, &docker::names(&*source)?)?;
            indexes = read.indexes;
            read.images
        } else if source.has("manifest.json") {
            docker::read(&*source)?
        } else if source.has("repositories") {
            docker::read_legacy(&*source)?
        } else {
            return Err(ArchiveError::NotAnArchive);
        };
        Ok(Self { images, indexes, source })
    }

    /// Lists the images, in the archive's order.
    #[must_use]
    pub fn images(&self) -> &[ArchivedImage] {
        &self.images
    }

    /// Lists the indexes that have names, and of which nothing is missing.
    #[must_use]
    pub fn indexes(&self) -> &[ArchivedIndex] {
        &self.indexes
    }

    /// Opens a blob that an index needs. Reading to the end verifies its digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_part(&self, part: &Descriptor) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        let (_, data) = self.source.open(&layout::blob(part.digest))?;
        Ok(Box::new(VerifyReader::new(data, part.digest, Some(part.size))))
    }

    /// Opens a layer's bytes as stored. Reading to the end verifies its digest, where it is known.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_blob(
        &self,
        layer: &ArchivedLayer,
    ) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        let (_, data) = self.source.open(&layer.member)?;
        Ok(match layer.digest {
            Some(digest) => Box::new(VerifyReader::new(data, digest, Some(layer.size))),
            None => data,
        })
    }

    /// Opens a layer's bytes as stored, for callers that digest them: nothing is verified.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_unverified(
        &self,
        layer: &ArchivedLayer,
    ) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        Ok(self.source.open(&layer.member)?.1)
    }

    /// Returns where a layer's bytes lie as stored, if that is a file. Nothing is verified.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn stretch(&self, layer: &ArchivedLayer) -> Result<Option<Stretch>, ArchiveError> {
        self.source.stretch(&layer.member)
    }

    /// Opens a layer's tar, decompressed. Reading to the end verifies its diff ID.
    ///
    /// (And not the blob's digest: a decompressor need not read its input to the very end. The diff
    /// ID says more.)
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_tar(
        &self,
        layer: &ArchivedLayer,
    ) -> Result<Box<dyn Read + Send + '_>, ArchiveError> {
        let (_, data) = self.source.open(&layer.member)?;
        let (_, tar) = compress::reader(data).map_err(ArchiveError::Read)?;
        Ok(Box::new(VerifyReader::new(tar, layer.diff_id.0, None)))
    }
}

impl std::fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("images", &self.images).finish_non_exhaustive()
    }
}
