//! Writing archives.
//!
//! The tar is streamed and the same for the same images: documents first, then blobs in the order
//! of their digests, each once, every member root's with time 0.

use std::io::{Read, Write};
use std::path::Path;

use super::ArchiveError;
use crate::config::ImageConfig;
use crate::json::Raw;
use crate::manifest::{Descriptor, ImageManifest};
use crate::platform::Platform;
use crate::reference::Reference;

/// An image to be written.
pub struct SaveImage<'a> {
    /// What it shall be called; each name gets an entry in `index.json`.
    pub names: Vec<Reference>,
    /// Its config.
    pub config: Raw<ImageConfig>,
    /// Its manifest, whose layers must be those of `layers`; one is made where there is none.
    pub manifest: Option<Raw<ImageManifest>>,
    /// Its layers, lowest first.
    pub layers: Vec<SaveLayer<'a>>,
    /// Annotations for its entries in `index.json`.
    pub annotations: Vec<(String, String)>,
    /// Its platform in `index.json`, where that shall be said.
    pub platform: Option<Platform>,
}

/// A layer's blob to be written: what it is, and a way to its bytes.
pub struct SaveLayer<'a> {
    /// Its media type, digest and size, which are needed before the first byte.
    pub descriptor: Descriptor,
    /// Opens the bytes; called once. They are checked against the descriptor while written.
    pub open: Box<dyn FnMut() -> std::io::Result<Box<dyn Read + 'a>> + 'a>,
}

/// Writes one tar that is a docker archive and an OCI layout at once (A3-12).
///
/// # Errors
/// [`ArchiveError::Write`], also for a blob that isn't what its descriptor says.
pub fn write_docker(images: &mut [SaveImage<'_>], out: &mut dyn Write) -> Result<(), ArchiveError> {
    let _ = (images, out);
    todo!()
}

/// Writes an OCI layout as a tar.
///
/// # Errors
/// As [`write_docker`].
pub fn write_oci_tar(
    images: &mut [SaveImage<'_>],
    out: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let _ = (images, out);
    todo!()
}

/// Writes an OCI layout into a directory, which is made if it is missing. Blobs that are there
/// already are kept; `index.json` gets new entries, and loses those of the same name.
///
/// # Errors
/// As [`write_docker`].
pub fn write_oci_directory(
    images: &mut [SaveImage<'_>],
    directory: &Path,
) -> Result<(), ArchiveError> {
    let _ = (images, directory);
    todo!()
}
