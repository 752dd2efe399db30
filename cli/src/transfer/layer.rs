//! One layer on its way into the store: read once, stored and verified in that pass.

use std::io::{self, Read, Write};

use gantry_cache::{LayerId, Lease, Store, WorkDir};
use gantry_image::archive::{Archive, ArchivedLayer};
use gantry_image::compress::{self, Compression};
use gantry_image::digest::TeeReader;
use gantry_image::layer::{self, Limits, Unpacked};
use gantry_image::{DiffId, MediaType};

use super::TransferError;
use super::told::{Tell, Told};

/// A layer that is in the store now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought {
    pub(super) id: LayerId,
    /// The sum of its files' sizes.
    pub(super) size: u64,
}

/// Brings a layer of an archive in; one that is there already is not read.
///
/// An uncompressed layer becomes a tar, a compressed one stays the blob that it is, so that the
/// manifest of its image goes on telling the truth.
pub(super) fn bring(
    archive: &Archive<'_>,
    name: &str,
    layer: &ArchivedLayer,
    store: &Store,
    (work, lease): (&WorkDir, &Lease),
    tell: Tell<'_>,
) -> Result<Brought, TransferError> {
    let id = LayerId::from_diff_id(&layer.diff_id);
    // Kept first and looked for then: in the other order it might be pruned in between.
    let gone = lease.keep_layers(&[id])?;
    if gone.is_empty()
        && let Some(known) = store.layers().get(&id)?
    {
        let size = match known.size {
            Some(size) => size,
            None => store.layers().ensure_manifest(&known.id)?.total_size(),
        };
        return Ok(Brought { id: known.id, size });
    }
    let broken = |source| TransferError::Archive { name: name.to_owned(), source };
    let raw = archive.open_blob(layer).map_err(broken)?;
    let mut raw = Told::new(raw, layer.diff_id.0, layer.size, tell);
    let mut first = Vec::new();
    let what = || format!("read the layer `{}`", layer.diff_id.0);
    (&mut raw)
        .take(compress::SNIFF_LEN as u64)
        .read_to_end(&mut first)
        .map_err(TransferError::io(what()))?;
    let compression = compress::sniff(&first);
    let raw = io::Cursor::new(first).chain(raw);
    if compression == Compression::None {
        return keep_tar(raw, Some(layer.diff_id), &layer.diff_id.0.to_string(), store, work);
    }
    let mut tee = TeeReader { from: raw, to: store.blobs().writer()? };
    let decoder = compress::decoder(compression, &mut tee).map_err(TransferError::io(what()))?;
    let unpacked = read_index(decoder, &layer.diff_id.0.to_string())?;
    check(layer.diff_id, &unpacked)?;
    // What follows the compressed data belongs to the blob as well.
    io::copy(&mut tee, &mut io::sink()).map_err(TransferError::io(what()))?;
    let (digest, _) = tee.to.finish(layer.digest)?;
    let media_type = layer.media_type.clone().unwrap_or_else(|| media_type(compression));
    let id = store.layers().add_blob(&layer.diff_id, &digest, media_type.as_str())?;
    Ok(Brought { id, size: unpacked.manifest.total_size() })
}

/// Stores an uncompressed tar as a layer; `expected` is the diff ID that it must have.
pub(super) fn keep_tar(
    tar: impl Read,
    expected: Option<DiffId>,
    name: &str,
    store: &Store,
    work: &WorkDir,
) -> Result<Brought, TransferError> {
    let path = work.scratch().join(format!("layer-{}", name.replace([':', '/'], "-")));
    let file = fs_err::File::create(&path).map_err(TransferError::io("create a layer's tar"))?;
    let mut tee = TeeReader { from: tar, to: io::BufWriter::with_capacity(256 << 10, file) };
    let unpacked = read_index(&mut tee, name)?;
    if let Some(expected) = expected {
        check(expected, &unpacked)?;
    }
    let what = || format!("write the layer `{name}`");
    io::copy(&mut tee, &mut io::sink()).map_err(TransferError::io(what()))?;
    tee.to.flush().map_err(TransferError::io(what()))?;
    // Indexed at once where that is of use, or it would have to be read again for it.
    let id = match gantry_executor::indexes(store, &gantry_sandbox::probe()) {
        true => store.layers().commit_mountable(&path, &unpacked)?,
        false => {
            store.layers().commit_tar(&path, None, &unpacked.manifest, unpacked.diff_id, true)?
        }
    };
    Ok(Brought { id, size: unpacked.manifest.total_size() })
}

fn read_index(mut tar: impl Read, name: &str) -> Result<Unpacked, TransferError> {
    layer::index(&mut tar, &Limits::default())
        .map_err(|source| TransferError::Layer { layer: name.to_owned(), source })
}

fn check(expected: DiffId, unpacked: &Unpacked) -> Result<(), TransferError> {
    let actual = unpacked.diff_id;
    if actual == expected { Ok(()) } else { Err(TransferError::DiffId { expected, actual }) }
}

fn media_type(compression: Compression) -> MediaType {
    match compression {
        Compression::Zstd => MediaType::OciLayerZstd,
        _ => MediaType::OciLayerGzip,
    }
}
