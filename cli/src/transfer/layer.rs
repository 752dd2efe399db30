//! One layer on its way into the store: read once, stored and verified in that pass.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use gantry_cache::{LayerId, Lease, Store, WorkDir};
use gantry_image::archive::{Archive, ArchivedLayer, Stretch};
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
    let what = || format!("read the layer `{}`", layer.diff_id.0);
    if let Some(stretch) = archive.stretch(layer).map_err(broken)? {
        let mut first = [0; compress::SNIFF_LEN];
        let count = stretch.first(&mut first).map_err(TransferError::io(what()))?;
        if compress::sniff(&first[..count]) == Compression::None {
            return keep_stretch(stretch, name, layer, store, work, tell);
        }
    }
    // Verified below, so not while it is read.
    let raw = archive.open_unverified(layer).map_err(broken)?;
    let mut raw = Told::new(raw, layer.diff_id.0, layer.size, tell);
    let mut first = Vec::new();
    (&mut raw)
        .take(compress::SNIFF_LEN as u64)
        .read_to_end(&mut first)
        .map_err(TransferError::io(what()))?;
    let compression = compress::sniff(&first);
    let raw = io::Cursor::new(first).chain(raw);
    let verify = |digest, size| layer.verify(digest, size).map_err(broken);
    if compression == Compression::None {
        let (path, file) = create(&layer.diff_id.0.to_string(), work)?;
        let unpacked = copy_tar(raw, file, &layer.diff_id.0.to_string())?;
        verify(unpacked.diff_id.0, unpacked.size)?;
        return commit(&path, &unpacked, Some(layer.diff_id), store);
    }
    let mut tee = TeeReader { from: raw, to: store.blobs().writer()? };
    let decoder = compress::decoder(compression, &mut tee).map_err(TransferError::io(what()))?;
    let unpacked = read_index(decoder, &layer.diff_id.0.to_string())?;
    check(layer.diff_id, &unpacked)?;
    // What follows the compressed data belongs to the blob as well.
    io::copy(&mut tee, &mut io::sink()).map_err(TransferError::io(what()))?;
    let size = tee.to.size();
    let (digest, _) = tee.to.finish(layer.digest)?;
    verify(digest, size)?;
    let media_type = layer.media_type.clone().unwrap_or_else(|| media_type(compression));
    let id = store.layers().add_blob(&layer.diff_id, &digest, media_type.as_str())?;
    Ok(Brought { id, size: unpacked.manifest.total_size() })
}

/// Stores an uncompressed layer that lies in a file: what the spool has made is taken as it is,
/// anything else is copied inside of the kernel. What is verified is what is kept.
fn keep_stretch(
    stretch: Stretch,
    name: &str,
    layer: &ArchivedLayer,
    store: &Store,
    work: &WorkDir,
    tell: Tell<'_>,
) -> Result<Brought, TransferError> {
    let called = layer.diff_id.0.to_string();
    let told = |from| Told::new(from, layer.diff_id.0, stretch.size(), tell);
    let path = place(&called, work);
    let linked = stretch.spooled().is_some_and(|from| fs_err::hard_link(from, &path).is_ok());
    let unpacked = if linked {
        let file = fs_err::File::open(&path).map_err(TransferError::io("open a layer's tar"))?;
        read_index(told(Box::new(file) as Box<dyn Read>), &called)?
    } else {
        let file = fs_err::OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(TransferError::io("create a layer's tar"))?;
        read_index(told(Box::new(stretch.clone().copy_into(file.file()))), &called)?
    };
    layer
        .verify(unpacked.diff_id.0, unpacked.size)
        .map_err(|source| TransferError::Archive { name: name.to_owned(), source })?;
    commit(&path, &unpacked, Some(layer.diff_id), store)
}

/// Stores an uncompressed tar, whatever it is, as a layer.
pub(super) fn keep_tar(
    tar: impl Read,
    name: &str,
    store: &Store,
    work: &WorkDir,
) -> Result<Brought, TransferError> {
    let (path, file) = create(name, work)?;
    let unpacked = copy_tar(tar, file, name)?;
    commit(&path, &unpacked, None, store)
}

/// Where a layer's tar lies until it has a name.
fn place(name: &str, work: &WorkDir) -> PathBuf {
    work.scratch().join(format!("layer-{}", name.replace([':', '/'], "-")))
}

fn create(name: &str, work: &WorkDir) -> Result<(PathBuf, fs_err::File), TransferError> {
    let path = place(name, work);
    let file = fs_err::File::create(&path).map_err(TransferError::io("create a layer's tar"))?;
    Ok((path, file))
}

fn copy_tar(tar: impl Read, to: fs_err::File, name: &str) -> Result<Unpacked, TransferError> {
    let mut tee = TeeReader { from: tar, to: io::BufWriter::with_capacity(256 << 10, to) };
    let unpacked = read_index(&mut tee, name)?;
    tee.to.flush().map_err(TransferError::io(format!("write the layer `{name}`")))?;
    Ok(unpacked)
}

/// Gives a tar its place in the store, if it is the layer that was `expected`.
fn commit(
    path: &Path,
    unpacked: &Unpacked,
    expected: Option<DiffId>,
    store: &Store,
) -> Result<Brought, TransferError> {
    if let Some(expected) = expected {
        check(expected, unpacked)?;
    }
    // Indexed at once where that is of use, or it would have to be read again for it.
    let id = match gantry_executor::indexes(store, &gantry_sandbox::probe()) {
        true => store.layers().commit_mountable(path, unpacked)?,
        false => {
            store.layers().commit_tar(path, None, &unpacked.manifest, unpacked.diff_id, true)?
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
