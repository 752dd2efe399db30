//! One layer on its way into the store: blob and files are made in one pass over what arrives.
//!
//! ```text
//! network ─► blob (sha256) ─► decompress ─► diff ID ─► tar and index, or tree; manifest
//! ```
//!
//! It is unpacked only where the tar's index can't be mounted.
//!
//! Neither has a name before both digests are known to be right.

use std::io::{self, BufWriter, Read, Write};

use gantry_cache::{BlobForm, BlobWriter, LayerId, Store};
use gantry_image::compress::{self, Compression};
use gantry_image::digest::TeeReader;
use gantry_image::layer::{self, LayerError, Limits, UnpackOptions, Unpacked};
use gantry_image::{Descriptor, DiffId, MediaType};
use gantry_tree::Root;

use super::TransferError;
use crate::work::indexes;

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
    let here = TransferError::io("open a work directory");
    let root = Root::open(work.upper()).map_err(|error| here(io::Error::other(error)))?;
    // In a tar nothing is changed that can't be made, so all rights are needed to use it.
    let full =
        unpack.ids == UnpackOptions::root().ids && unpack.dialect == UnpackOptions::root().dialect;
    let mountable = full && indexes(store, &gantry_sandbox::probe());
    let tar = work.path().join("tar");
    let to = match mountable {
        true => {
            To::Tar(fs_err::File::create(&tar).map_err(TransferError::io("create a layer's tar"))?)
        }
        false => To::Tree(&root, unpack),
    };
    let mut tee = TeeReader { from: stream, to: store.blobs().writer()? };
    let (compression, unpacked) = unpack_all(&mut tee, to, descriptor);
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
    let Unpacked { manifest, size, .. } = &unpacked;
    let id = match mountable {
        true => store.layers().commit_mountable(&tar, &unpacked)?,
        false => store.layers().commit_imported(&work.upper(), manifest, *diff_id, *size)?,
    };
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

/// What is made of the decompressed layer.
enum To<'a> {
    Tar(fs_err::File),
    Tree(&'a Root, &'a UnpackOptions),
}

fn unpack_all(
    tee: &mut TeeReader<impl Read + Send, BlobWriter<'_>>,
    to: To<'_>,
    descriptor: &Descriptor,
) -> (Compression, Result<Unpacked, TransferError>) {
    let failed = TransferError::io(format!("read the layer `{}`", descriptor.digest));
    let (compression, mut reader) = match compress::reader(tee) {
        Ok(found) => found,
        Err(error) => return (Compression::None, Err(failed(error))),
    };
    let unpacked = match to {
        To::Tree(root, options) => layer::unpack(&mut reader, root, options),
        To::Tar(file) => {
            let to = BufWriter::with_capacity(1 << 20, file);
            let mut tar = TeeReader { from: reader, to };
            let read = layer::index(&mut tar, &Limits::default());
            read.and_then(|read| tar.to.flush().map(|()| read).map_err(LayerError::Write))
        }
    };
    let unpacked =
        unpacked.map_err(|source| TransferError::Layer { layer: descriptor.digest, source });
    (compression, unpacked)
}
