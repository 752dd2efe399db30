//! Compressed layers: made once, kept as blobs of the store, found again by how they were made.

use std::io::{self, Write};

use gantry_cache::{BlobForm, Store, StoreError};
use gantry_image::archive::LayerBytes;
use gantry_image::compress::{Compression, DEFAULT_GZIP_LEVEL, DEFAULT_ZSTD_LEVEL, Encoder};
use gantry_image::{Descriptor, MediaType};

use super::ExportError;
use super::layers::{ImageLayer, came_as};
use crate::image_options::{ImageOptions, LayerCompression};

/// What the manifest says of a layer; if it is to be compressed, that is done now, unless the store
/// has the very bytes from an earlier time.
pub(crate) fn descriptor(
    store: &Store,
    layer: &ImageLayer,
    of_base: bool,
    options: &ImageOptions,
) -> Result<Descriptor, ExportError> {
    let docker = options.docker_types;
    let known = store.layers().require(&layer.id)?;
    if !options.force_compression
        && let Some((kind, digest, size)) = came_as(store, &known, &layer.diff_id)?
    {
        // A base image's layer goes on as it came, unless all are to be compressed in one way; and
        // so does one from a cache that nobody has fetched, if that is what is wanted.
        let wanted = options.compression.is_none_or(|wanted| wanted.kind == kind);
        if of_base || (wanted && known.is_remote_only()) {
            return described(kind, docker, digest, size);
        }
    }
    let Some(compression) = options.compression.filter(|wanted| wanted.kind != Compression::None)
    else {
        let (_, size) = store.layers().ensure_diff_id(&layer.id, layer.clamp)?;
        return described(Compression::None, docker, layer.diff_id.0, size);
    };
    let how = how(compression);
    for form in known.forms.blobs.iter().filter(|form| form.diff_id == layer.diff_id) {
        let kind = MediaType::new(&form.media_type).layer_compression();
        if form.how == how
            && let (Some(kind), Some(size)) = (kind, store.blobs().size(&form.digest)?)
        {
            return described(kind, docker, form.digest, size);
        }
    }
    let kind = MediaType::layer(compression.kind, false).unwrap_or(MediaType::OciLayer);
    let failed = || ExportError::io(format!("compress the layer `{}`", layer.id));
    let blob = store.blobs().writer()?;
    let mut encoder =
        Encoder::new(compression.kind, compression.level, threads(), blob).map_err(|source| {
            match source.kind() {
                // What is wrong with the level is all there is to say.
                io::ErrorKind::InvalidInput => ExportError::Refused(source.to_string()),
                _ => failed()(source),
            }
        })?;
    store.layers().tar_stream(&layer.id, layer.clamp, &mut encoder)?;
    encoder.flush().map_err(failed())?;
    let (digest, size) = encoder.finish().map_err(failed())?.finish(None)?;
    store.layers().attach_blob(
        &layer.id,
        &BlobForm { digest, diff_id: layer.diff_id, media_type: kind.as_str().to_owned(), how },
    )?;
    described(compression.kind, docker, digest, size)
}

/// Opens the bytes that a descriptor names.
pub(crate) fn open(
    store: &Store,
    layer: &ImageLayer,
    descriptor: &Descriptor,
) -> io::Result<Box<dyn io::Read + 'static>> {
    Ok(match bytes(store, layer, descriptor)? {
        LayerBytes::File(file) => Box::new(file),
        LayerBytes::Stream(data) | LayerBytes::Checked(data) => data,
    })
}

/// The bytes that a descriptor names, for an archive.
pub(super) fn bytes(
    store: &Store,
    layer: &ImageLayer,
    descriptor: &Descriptor,
) -> io::Result<LayerBytes<'static>> {
    let file = if descriptor.digest == layer.diff_id.0 {
        let known = store.layers().require(&layer.id).map_err(io::Error::other)?;
        match known.open_tar(&layer.diff_id).map_err(io::Error::other)? {
            Some(tar) => tar,
            None => return Ok(LayerBytes::Checked(Box::new(layer.open(store)?))),
        }
    } else {
        store.layers().ensure_blob(&layer.id, &descriptor.digest).map_err(io::Error::other)?;
        let gone = || io::Error::other(StoreError::BlobGone { digest: descriptor.digest });
        let file = store.blobs().open(&descriptor.digest).map_err(io::Error::other)?;
        file.ok_or_else(gone)?
    };
    Ok(LayerBytes::File(file.into_parts().0))
}

fn described(
    kind: Compression,
    docker: bool,
    digest: gantry_image::Digest,
    size: u64,
) -> Result<Descriptor, ExportError> {
    let media_type = MediaType::layer(kind, docker)
        .ok_or_else(|| ExportError::Refused(format!("layers compressed by {kind} have no type")))?;
    Ok(Descriptor::new(media_type, digest, size))
}

/// The name of a way of compressing: library, level, block size. The bytes follow from it and the
/// tar.
fn how(compression: LayerCompression) -> String {
    let (library, level, block) = match compression.kind {
        Compression::Zstd => ("zstd", DEFAULT_ZSTD_LEVEL, "4 MiB"),
        _ => ("libdeflate", DEFAULT_GZIP_LEVEL, "1 MiB"),
    };
    format!("{} {library} {} {block}", compression.kind, compression.level.unwrap_or(level))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
