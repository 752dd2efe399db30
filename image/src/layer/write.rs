//! Writing a layer's tar from a manifest: the same bytes for the same manifest, always.
//!
//! Order: as the manifest's, but a directory's opaque mark and whiteouts come right behind it and
//! before its other entries (OCI image-spec, layer.md: whiteouts before siblings). Formats: ustar,
//! and a PAX header where ustar can't say it (see [`header`](super::header)). User and group names
//! are left empty: the ids count, and names would depend on the host.
//!
//! The root directory has no member, as with containerd's and BuildKit's differs (both skip `/`):
//! layers stay comparable, and a `chmod /` is lost here as it is lost there. Whiteouts have mode,
//! ids and time 0; containerd writes the current time, which no cache could stand.

use std::io::{Read, Write};

use gantry_tree::{Entry, Manifest};

use super::LayerError;
use crate::digest::{DiffId, HashWriter};

/// Opens the bytes of a file entry, from a tree, a tar or a cache.
pub type Opener<'a> = dyn FnMut(&Entry) -> std::io::Result<Box<dyn Read>> + 'a;

/// Writes the layer's tar to `out`, streaming; memory doesn't depend on sizes.
///
/// `clamp` is `SOURCE_DATE_EPOCH`: times later than it become it, and all times whole seconds.
///
/// # Errors
/// [`LayerError::Content`] if a file can't be read, [`LayerError::Changed`] if its length isn't the
/// manifest's, [`LayerError::Write`] from `out`.
pub fn write_tar(
    manifest: &Manifest,
    open: &mut Opener<'_>,
    clamp: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), LayerError> {
    let _ = (manifest, open, clamp, out);
    todo!()
}

/// Returns the diff ID of the tar that [`write_tar`] would write, and its size.
///
/// # Errors
/// As [`write_tar`].
pub fn diff_id(
    manifest: &Manifest,
    open: &mut Opener<'_>,
    clamp: Option<i64>,
) -> Result<(DiffId, u64), LayerError> {
    let mut out = HashWriter::new(std::io::sink());
    write_tar(manifest, open, clamp, &mut out)?;
    let (_, digest, size) = out.finish();
    Ok((DiffId(digest), size))
}

/// Returns the size of the tar that [`write_tar`] would write, without opening any file.
#[must_use]
pub fn tar_size(manifest: &Manifest, clamp: Option<i64>) -> u64 {
    let _ = (manifest, clamp);
    todo!()
}
