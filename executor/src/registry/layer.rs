//! One layer on its way into the store: blob and tree are made in one pass over what arrives.
//!
//! ```text
//! network ─► blob (sha256) ─► decompress ─► diff ID ─► tree and manifest
//! ```
//!
//! Neither has a name before both digests are known to be right.

use std::io::{self, Read};

use gantry_cache::{BlobForm, BlobWriter, LayerId, Store};
use gantry_image::compress::{self, Compression};
use gantry_image::digest::TeeReader;
use gantry_image::layer::{self, UnpackOptions, Unpacked};
use gantry_image::{Descriptor, DiffId, MediaType};
use gantry_tree::Root;

use super::TransferError;

/// Takes a layer in that isn't in the store.
///
/// The stream's own failures are for the caller to know; here they are failures of reading.
pub(super) fn take_in(
    stream: impl Read + Send,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    store: &Store,
    unpack: &UnpackOptions,
) -> Result<LayerId, TransferError> {
    let digest = descriptor.digest;
    let work = store.work_dir()?;
    let root = Root::open(work.upper())
        .map_err(|error| TransferError::io("open a work directory")(io::Error::other(error)))?;
    let mut tee = TeeReader { from: stream, to: store.blobs().writer()? };
    let (compression, unpacked) = unpack_all(&mut tee, &root, unpack, descriptor);
    // What follows the compressed data belongs to the blob as well; and if it couldn't be unpacked,
    // the whole of it tells whether it was the right one.
    let what = || format!("read the layer `{digest}`");
    io::copy(&mut tee, &mut io::sink()).map_err(TransferError::io(what()))?;
    let blob = tee.to;
    let unpacked = match unpacked {
        Ok(unpacked) => unpacked,
        Err(error) => {
            blob.finish(Some(digest))?;
            return Err(error);
        }
    };
    if unpacked.diff_id != *diff_id {
        let (expected, actual) = (*diff_id, unpacked.diff_id);
        return Err(TransferError::DiffId { layer: digest, expected, actual });
    }
    blob.finish(Some(digest))?;
    let id = store.layers().commit_imported(
        &work.upper(),
        &unpacked.manifest,
        unpacked.diff_id,
        unpacked.size,
    )?;
    attach(store, &id, descriptor, diff_id, compression)?;
    Ok(id)
}

/// Remembers that a blob of the store holds a layer.
fn attach(
    store: &Store,
    id: &LayerId,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    compression: Compression,
) -> Result<(), TransferError> {
    let kind = match descriptor.media_type.layer_compression() {
        Some(promised) if promised == compression => descriptor.media_type.clone(),
        _ => MediaType::layer(compression, false).unwrap_or(MediaType::OciLayer),
    };
    let form = BlobForm {
        digest: descriptor.digest,
        diff_id: *diff_id,
        media_type: kind.as_str().to_owned(),
        how: String::new(),
    };
    Ok(store.layers().attach_blob(id, &form)?)
}

fn unpack_all(
    tee: &mut TeeReader<impl Read + Send, BlobWriter<'_>>,
    root: &Root,
    options: &UnpackOptions,
    descriptor: &Descriptor,
) -> (Compression, Result<Unpacked, TransferError>) {
    let failed = TransferError::io(format!("read the layer `{}`", descriptor.digest));
    let (compression, mut reader) = match compress::reader(tee) {
        Ok(found) => found,
        Err(error) => return (Compression::None, Err(failed(error))),
    };
    let unpacked = layer::unpack(&mut reader, root, options)
        .map_err(|source| TransferError::Layer { layer: descriptor.digest, source });
    (compression, unpacked)
}
