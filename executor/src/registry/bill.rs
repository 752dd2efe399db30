//! What makes up an image in a registry: its manifest, whose layers are compressed, and its config.

use gantry_cache::{Image, LayerId, Lease, NewImage, Store, StoreError};
use gantry_image::compress::Compression;
use gantry_image::{Descriptor, DiffId, Digest, ImageConfig, ImageManifest, MediaType, Raw};

use super::TransferError;
use crate::export::{ImageLayer, came_as, compress};
use crate::image_options::{ImageOptions, LayerCompression};

/// No config and no manifest comes near this.
const LIMIT: u64 = 8 << 20;

/// What makes up an image in a registry: all of it is in the store.
pub(crate) struct Bill {
    pub(super) manifest: Raw<ImageManifest>,
    pub(super) config: Raw<ImageConfig>,
}

impl Bill {
    pub(super) fn of_image(
        store: &Store,
        image: &Image,
        lease: &Lease,
    ) -> Result<Self, TransferError> {
        let config = read_config(store, &image.id)?;
        let manifest = match image.manifest {
            Some(digest) => store.blobs().read(&digest, LIMIT)?,
            None => None,
        };
        let manifest = manifest.map(Raw::<ImageManifest>::parse).transpose()?;
        Self::new(store, config, manifest, &image.layers, lease)
    }

    /// Takes the manifest that an image has, if its blobs are here; else compresses the layers, and
    /// makes a manifest that is the image's from now on.
    pub(crate) fn new(
        store: &Store,
        config: Raw<ImageConfig>,
        manifest: Option<Raw<ImageManifest>>,
        layers: &[LayerId],
        lease: &Lease,
    ) -> Result<Self, TransferError> {
        let diff_ids = &config.rootfs.diff_ids;
        if let Some(manifest) = &manifest
            && manifest.layers.len() == diff_ids.len()
            && all_here(store, manifest.value(), layers, lease)?
        {
            return Ok(Self { manifest: manifest.clone(), config });
        }
        let docker = manifest
            .as_ref()
            .is_some_and(|manifest| manifest.media_type() == MediaType::DockerManifest);
        let options = ImageOptions {
            compression: Some(LayerCompression { kind: Compression::Gzip, level: None }),
            docker_types: docker,
            ..ImageOptions::default()
        };
        let mut described = Vec::new();
        for (id, diff_id) in layers.iter().zip(diff_ids) {
            let known = store.layers().require(id)?;
            let (size, clamp) = match came_as(store, &known, diff_id)? {
                Some((_, _, size)) => (size, None),
                None => {
                    let clamp = clamp(store, id, diff_id, config.value())?;
                    (store.layers().ensure_diff_id(id, clamp)?.1, clamp)
                }
            };
            let layer = ImageLayer { id: *id, diff_id: *diff_id, size, clamp };
            described.push(compress::descriptor(store, &layer, true, &options)?);
        }
        let kind = if docker { MediaType::DockerConfig } else { MediaType::OciConfig };
        let of_config = Descriptor::new(kind, config.digest(), config.size());
        let mut made = ImageManifest::new(of_config, described, docker);
        if let Some(manifest) = &manifest {
            made.annotations.clone_from(&manifest.annotations);
        }
        let made = Raw::write(made);
        // From now on this is the image's manifest: what was pushed once is pushed again.
        if let Some(image) = store.images().get(&config.digest())? {
            store.images().put(&NewImage {
                id: image.id,
                manifest: Some(store.blobs().put(made.bytes())?),
                platform: &image.platform,
                layers: &image.layers,
                size: image.size,
                created: image.created,
            })?;
        }
        Ok(Self { manifest: made, config })
    }

    pub(super) fn diff_ids(&self) -> &[DiffId] {
        &self.config.rootfs.diff_ids
    }

    /// Type, digest and size of the manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let manifest = &self.manifest;
        Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size())
    }
}

pub(super) fn read_config(store: &Store, id: &Digest) -> Result<Raw<ImageConfig>, TransferError> {
    let config = store.blobs().read(id, LIMIT)?;
    Ok(Raw::parse(config.ok_or(StoreError::BlobGone { digest: *id })?)?)
}

/// The clamp under which a layer has its diff ID: an image that was built with SOURCE_DATE_EPOCH
/// has clamped times in its layers, and that epoch for its own time.
fn clamp(
    store: &Store,
    id: &LayerId,
    diff_id: &DiffId,
    config: &ImageConfig,
) -> Result<Option<i64>, TransferError> {
    if let Some(clamp) = store.layers().require(id)?.clamp_of(diff_id) {
        return Ok(clamp);
    }
    let created = config.created.as_ref().and_then(|time| time.unix());
    for clamp in [None, created.map(|(seconds, _)| seconds)] {
        if store.layers().ensure_diff_id(id, clamp)?.0 == *diff_id {
            return Ok(clamp);
        }
    }
    Err(TransferError::LayerChanged(*diff_id))
}

/// Makes sure that the store has the very bytes of a layer that a manifest describes: they are
/// fetched, or compressed once more. Says whether it has them then.
///
/// # Errors
/// [`TransferError`], where the layer can't be read or fetched.
pub fn restore_layer(
    store: &Store,
    id: &LayerId,
    diff_id: &DiffId,
    config: &ImageConfig,
    wanted: &Descriptor,
) -> Result<bool, TransferError> {
    store.layers().ensure_blob(id, &wanted.digest)?;
    let here = || -> Result<bool, TransferError> {
        Ok(store.blobs().size(&wanted.digest)? == Some(wanted.size))
    };
    let kind = wanted.media_type.layer_compression();
    if let (false, Some(kind)) = (here()?, kind.filter(|kind| *kind != Compression::None)) {
        let clamp = clamp(store, id, diff_id, config)?;
        let (_, size) = store.layers().ensure_diff_id(id, clamp)?;
        let layer = ImageLayer { id: *id, diff_id: *diff_id, size, clamp };
        let compression = Some(LayerCompression { kind, level: None });
        let options = ImageOptions { compression, ..ImageOptions::default() };
        compress::descriptor(store, &layer, false, &options)?;
    }
    here()
}

/// Says whether a manifest's layers are blobs of the store, or of registries that the store knows;
/// foreign ones need not be.
fn all_here(
    store: &Store,
    manifest: &ImageManifest,
    layers: &[LayerId],
    lease: &Lease,
) -> Result<bool, TransferError> {
    for (layer, id) in manifest.layers.iter().zip(layers) {
        let here = || -> Result<bool, TransferError> {
            Ok(lease.keep_blob(&layer.digest)?
                && store.blobs().size(&layer.digest)? == Some(layer.size))
        };
        if !layer.media_type.is_foreign() && !here()? {
            let known = store.layers().require(id)?;
            if !known.forms.remote.iter().any(|form| form.blob.digest == layer.digest) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
