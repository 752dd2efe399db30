//! Layers as streams of tar bytes, and the clamp under which each has its diff ID.

use std::io::{self, Read};
use std::thread::JoinHandle;

use gantry_cache::{Layer, LayerId, Store, StoreError};
use gantry_image::compress::Compression;
use gantry_image::{DiffId, Digest, MediaType};

use super::ExportError;

/// A layer of an image: its name here, its diff ID, and how its tar comes to have that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImageLayer {
    pub(crate) id: LayerId,
    pub(crate) diff_id: DiffId,
    /// How many bytes its tar has; of one that was found compressed, how many bytes the blob has.
    pub(crate) size: u64,
    /// SOURCE_DATE_EPOCH of the build that made it.
    pub(crate) clamp: Option<i64>,
}

impl ImageLayer {
    /// Takes a layer that this build made, or another one that shares its cache: what nobody has
    /// fetched from there is not read.
    pub(crate) fn own(store: &Store, id: LayerId, clamp: Option<i64>) -> Result<Self, ExportError> {
        let known = store.layers().require(&id)?;
        if let Some(diff_id) = known.diff_id(clamp).filter(|_| known.is_remote_only())
            && let Some((_, _, size)) = came_as(store, &known, &diff_id)?
        {
            return Ok(Self { id, diff_id, size, clamp: None });
        }
        let (diff_id, size) = store.layers().ensure_diff_id(&id, clamp)?;
        Ok(Self { id, diff_id, size, clamp })
    }

    /// Takes a layer of the base image, which keeps the diff ID that it has there.
    ///
    /// An image of the store may have been built with another SOURCE_DATE_EPOCH, which is then the
    /// time that it says it was made.
    pub(super) fn of_base(
        store: &Store,
        id: LayerId,
        diff_id: DiffId,
        clamps: &[Option<i64>],
    ) -> Result<Self, ExportError> {
        let known = store.layers().require(&id)?;
        if let Some((_, _, size)) = came_as(store, &known, &diff_id)? {
            return Ok(Self { id, diff_id, size, clamp: None });
        }
        let mut first = None;
        // What is known already costs nothing; what isn't is computed, the likely ones first.
        for clamp in clamps.iter().filter(|clamp| known.diff_id(**clamp) == Some(diff_id)) {
            first = Some(*clamp);
        }
        let order = first.into_iter().chain(clamps.iter().copied());
        for clamp in order {
            let (actual, size) = store.layers().ensure_diff_id(&id, clamp)?;
            if actual == diff_id {
                return Ok(Self { id, diff_id, size, clamp });
            }
        }
        Err(ExportError::Image {
            what: format!("the layer `{id}` is no longer the base image's `{diff_id}`"),
            source: None,
        })
    }

    /// Opens the layer's tar, which fails at its end if it isn't the one with the diff ID.
    pub(super) fn open(&self, store: &Store) -> io::Result<TarReader> {
        TarReader::new(store, self.id, self.diff_id, self.clamp)
    }
}

/// The blob that a layer of an image came as, or would come as: how it is compressed, its digest
/// and size. `None` for a layer that was made here, or came in no blob.
pub(crate) fn came_as(
    store: &Store,
    layer: &Layer,
    diff_id: &DiffId,
) -> Result<Option<(Compression, Digest, u64)>, StoreError> {
    if layer.diff_id(None) != Some(*diff_id) {
        return Ok(None);
    }
    let kind = |text: &str| MediaType::new(text).layer_compression();
    for form in layer.forms.blobs.iter().filter(|form| form.how.is_empty()) {
        if let (Some(kind), Some(size)) =
            (kind(&form.media_type), store.blobs().size(&form.digest)?)
        {
            return Ok(Some((kind, form.digest, size)));
        }
    }
    let remote = layer.forms.remote.iter().find_map(|form| {
        let blob = &form.blob;
        Some((kind(blob.media_type.as_str())?, blob.digest, blob.size))
    });
    Ok(remote)
}

/// Reads a layer's tar, which another thread writes from whatever form of the layer there is.
pub struct TarReader {
    reader: io::PipeReader,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl TarReader {
    /// Opens a layer's tar, with its times clamped to `clamp` (SOURCE_DATE_EPOCH). What fails on the
    /// way fails the reading, and is no early end; so does another diff ID than the `expected` one.
    ///
    /// # Errors
    /// Where there can be no pipe or no thread.
    pub fn new(
        store: &Store,
        id: LayerId,
        expected: DiffId,
        clamp: Option<i64>,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let store = store.clone();
        let write = move || {
            let mut out = io::BufWriter::with_capacity(1 << 16, writer);
            let (actual, _) = store.layers().tar_stream(&id, clamp, &mut out)?;
            if actual != expected {
                return Err(StoreError::DiffIdMismatch { layer: id, expected, actual });
            }
            io::Write::flush(&mut out)
                .map_err(|source| StoreError::Io { what: "write a layer's tar".to_owned(), source })
        };
        let thread = std::thread::Builder::new().name("gantry-tar".into()).spawn(write)?;
        Ok(Self { reader, thread: Some(thread) })
    }
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(thread) = self.thread.take()
        {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(io::Error::other(error)),
                Err(_) => return Err(io::Error::other("the layer's reader panicked")),
            }
        }
        Ok(count)
    }
}
