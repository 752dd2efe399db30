//! `save`: images of the store as one tar that is a docker archive and an OCI layout.

use std::io::{self, Read, Write};
use std::thread::{self, JoinHandle};

use gantry_cache::{Image, LayerId, Store, StoreError};
use gantry_image::archive::{SaveImage, SaveLayer, write_docker};
use gantry_image::{Descriptor, DiffId, ImageConfig, ImageManifest, MediaType, Raw, Reference};

use super::TransferError;

/// An image and the names that it has in the archive.
pub(crate) struct Saved {
    pub(crate) image: Image,
    pub(crate) names: Vec<Reference>,
}

/// No config and no manifest comes near this.
const LIMIT: u64 = 8 << 20;

/// Writes images with uncompressed layers; what they share is written once.
///
/// # Errors
/// [`TransferError`]; what was written by then is no archive.
pub(crate) fn save(
    images: Vec<Saved>,
    store: &Store,
    out: &mut dyn Write,
) -> Result<(), TransferError> {
    let lease = store.lease()?;
    let mut prepared = Vec::new();
    for saved in images {
        lease.keep_layers(&saved.image.layers)?;
        prepared.push(prepare(saved, store)?);
    }
    write_docker(&mut prepared, out)
        .map_err(|source| TransferError::Archive { name: "output".to_owned(), source })
}

fn prepare(saved: Saved, store: &Store) -> Result<SaveImage<'_>, TransferError> {
    let image = saved.image;
    let name = || format!("image {}", image.id.short());
    let invalid = |source| TransferError::Document { name: name(), source };
    let config = store.blobs().read(&image.id, LIMIT)?;
    let config = config.ok_or(StoreError::BlobGone { digest: image.id })?;
    let config = Raw::<ImageConfig>::parse(config).map_err(invalid)?;
    let mut layers = Vec::new();
    for (id, diff_id) in image.layers.iter().zip(&config.value().rootfs.diff_ids) {
        layers.push(layer(*id, *diff_id, config.value(), store)?);
    }
    let manifest = match image.manifest {
        Some(digest) => store.blobs().read(&digest, LIMIT)?,
        None => None,
    };
    let manifest = manifest.map(Raw::<ImageManifest>::parse).transpose().map_err(invalid)?;
    // A manifest of compressed layers says nothing true about uncompressed ones.
    let manifest = manifest.filter(|manifest| {
        let described = manifest.value().layers.iter().map(|layer| layer.digest);
        described.eq(layers.iter().map(|layer| layer.descriptor.digest))
    });
    Ok(SaveImage {
        names: saved.names,
        platform: Some(image.platform),
        config,
        manifest,
        layers,
        annotations: Vec::new(),
    })
}

/// A layer's tar as its image knows it.
///
/// An image that was built with SOURCE_DATE_EPOCH has clamped times in its layers, and that epoch
/// for its own time.
fn layer<'s>(
    id: LayerId,
    diff_id: DiffId,
    config: &ImageConfig,
    store: &'s Store,
) -> Result<SaveLayer<'s>, TransferError> {
    let created = config.created.as_ref().and_then(|time| time.unix());
    let clamps = [None, created.map(|(seconds, _)| seconds)];
    let mut found = None;
    for clamp in clamps {
        let (actual, size) = store.layers().ensure_diff_id(&id, clamp)?;
        if actual == diff_id {
            found = Some((clamp, size));
            break;
        }
    }
    let Some((clamp, size)) = found else {
        let (actual, _) = store.layers().ensure_diff_id(&id, None)?;
        return Err(TransferError::DiffId { expected: diff_id, actual });
    };
    Ok(SaveLayer {
        descriptor: Descriptor::new(MediaType::OciLayer, diff_id.0, size),
        open: Box::new(move || {
            let reader: Box<dyn Read + 's> = Box::new(TarReader::new(store.clone(), id, clamp)?);
            Ok(reader)
        }),
    })
}

/// Reads a layer's tar, which another thread writes into a pipe. That one's failure is an error
/// here, and no early end.
struct TarReader {
    pipe: io::PipeReader,
    writer: Option<JoinHandle<Result<(), StoreError>>>,
}

impl TarReader {
    fn new(store: Store, id: LayerId, clamp: Option<i64>) -> io::Result<Self> {
        let (pipe, end) = io::pipe()?;
        let write = move || {
            let mut out = io::BufWriter::with_capacity(64 << 10, end);
            store.layers().tar_stream(&id, clamp, &mut out)?;
            out.flush().map_err(|err| StoreError::io("write a layer's tar", err))
        };
        let writer = thread::Builder::new().name("tar".to_owned()).spawn(write)?;
        Ok(Self { pipe, writer: Some(writer) })
    }
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.pipe.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(writer) = self.writer.take()
        {
            writer
                .join()
                .map_err(|_| io::Error::other("The writer of a layer's tar panicked"))?
                .map_err(io::Error::other)?;
        }
        Ok(count)
    }
}
