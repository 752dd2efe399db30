//! `save`: images of the store as one tar that is a docker archive and an OCI layout, or as an OCI
//! layout alone.

use std::path::Path;

use gantry_cache::{Image, Lease, List, Member, Store, StoreError};
use gantry_executor::registry::restore_layer;
use gantry_image::archive::{
    ArchiveError, Output, SaveImage, SaveIndex, SaveLayer, write_docker, write_oci_directory,
    write_oci_tar,
};
use gantry_image::{Digest, ImageConfig, ImageManifest, Raw, Reference};

use super::TransferError;
use super::layer_bytes::{blob, tar};
use super::told::{Tell, telling};

/// An image and the names that it has in the archive. Where it comes with an index, that is what the
/// names stand for, and all that it lists is written.
pub(crate) struct Saved {
    pub(crate) image: Image,
    pub(crate) names: Vec<Reference>,
}

/// No config and no manifest comes near this.
const LIMIT: u64 = 8 << 20;

/// What an archive looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A docker archive that is an OCI layout too, with uncompressed layers.
    Docker,
    /// An OCI layout as a tar. Images that came with a manifest keep it, and its layers their bytes.
    Oci,
}

/// Writes images; what they share is written once. `tell` hears how far each layer has come.
///
/// # Errors
/// [`TransferError`]; what was written by then is no archive.
pub(crate) fn save(
    images: Vec<Saved>,
    form: Form,
    store: &Store,
    out: &mut dyn Output,
    tell: Tell<'_>,
) -> Result<(), TransferError> {
    write(images, form, store, tell, |indexes, prepared| match form {
        Form::Docker => write_docker(indexes, prepared, out),
        Form::Oci => write_oci_tar(indexes, prepared, out),
    })
}

/// Writes images into an OCI layout directory, or adds them to the one that is there.
///
/// # Errors
/// [`TransferError`]; an `index.json` that is there tells of whole images only.
pub(crate) fn save_layout(
    images: Vec<Saved>,
    store: &Store,
    directory: &Path,
    tell: Tell<'_>,
) -> Result<(), TransferError> {
    write(images, Form::Oci, store, tell, |indexes, prepared| {
        write_oci_directory(indexes, prepared, directory)
    })
}

fn write(
    images: Vec<Saved>,
    form: Form,
    store: &Store,
    tell: Tell<'_>,
    write: impl FnOnce(&[SaveIndex], &mut [SaveImage<'_>]) -> Result<(), ArchiveError>,
) -> Result<(), TransferError> {
    let lease = store.lease()?;
    let (mut indexes, mut prepared) = (Vec::new(), Vec::<SaveImage<'_>>::new());
    for saved in images {
        let list = match &saved.image.list {
            Some(list) => whole(list, store, &lease)?,
            None => None,
        };
        let Some((list, members)) = list else {
            lease.keep_layers(&saved.image.layers)?;
            prepared.push(prepare(saved, form, store, &lease)?);
            continue;
        };
        indexes.push(over(list, saved));
        for member in members {
            let digest = |image: &SaveImage<'_>| image.manifest.as_ref().map(Raw::digest);
            if prepared.iter().all(|known| digest(known) != digest(&member)) {
                prepared.push(member);
            }
        }
    }
    for image in &mut prepared {
        for layer in &mut image.layers {
            layer.told = telling(tell, layer.descriptor.digest, layer.descriptor.size);
        }
    }
    write(&indexes, &mut prepared)
        .map_err(|source| TransferError::Archive { name: "output".to_owned(), source })
}

fn prepare<'s>(
    saved: Saved,
    form: Form,
    store: &'s Store,
    lease: &Lease,
) -> Result<SaveImage<'s>, TransferError> {
    let image = saved.image;
    let name = || format!("image {}", image.id.short());
    let invalid = |source| TransferError::Document { name: name(), source };
    let config = read_config(&image, store)?;
    let manifest = match image.manifest {
        Some(digest) => store.blobs().read(&digest, LIMIT)?,
        None => None,
    };
    let manifest = manifest.map(Raw::<ImageManifest>::parse).transpose().map_err(invalid)?;
    if form == Form::Oci
        && let Some(manifest) = &manifest
        && fetched(&image, manifest, store)?
        && let Some(layers) = blobs(manifest, store, lease)?
    {
        return Ok(SaveImage {
            names: saved.names,
            platform: Some(image.platform),
            config,
            manifest: Some(manifest.clone()),
            layers,
            annotations: Vec::new(),
        });
    }
    let mut layers = Vec::new();
    for (id, diff_id) in image.layers.iter().zip(&config.value().rootfs.diff_ids) {
        layers.push(tar(*id, *diff_id, config.value(), store)?);
    }
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

/// The index as it goes into the archive, under the names that stand for it.
fn over(list: List, saved: Saved) -> SaveIndex {
    let mut blobs = Vec::new();
    for member in list.members {
        if let Member::Other { manifest, blobs: parts } = member {
            blobs.push(manifest.bytes().to_vec());
            blobs.extend(parts.into_iter().map(|(_, bytes)| bytes));
        }
    }
    SaveIndex {
        names: saved.names,
        index: list.index,
        shown: Some(saved.image.id),
        annotations: Vec::new(),
        blobs,
    }
}

/// An index with all of its images, as their manifests say; nothing if the bytes of a layer, which
/// was compressed in another way than gantry's own, are neither here nor to be had.
fn whole<'s>(
    list: &Digest,
    store: &'s Store,
    lease: &Lease,
) -> Result<Option<(List, Vec<SaveImage<'s>>)>, TransferError> {
    let list = store.images().members(list)?;
    let mut images = Vec::new();
    for (image, manifest) in list.images() {
        lease.keep_layers(&image.layers)?;
        let config = read_config(image, store)?;
        let mut layers = Vec::new();
        let diff_ids = image.layers.iter().zip(&config.value().rootfs.diff_ids);
        for ((id, diff_id), descriptor) in diff_ids.zip(&manifest.value().layers) {
            if descriptor.digest == diff_id.0 {
                let tar = tar(*id, *diff_id, config.value(), store)?;
                layers.push(SaveLayer { descriptor: descriptor.clone(), ..tar });
                continue;
            }
            if !restore_layer(store, id, diff_id, config.value(), descriptor)? {
                return Ok(None);
            }
            lease.keep_blob(&descriptor.digest)?;
            layers.push(blob(descriptor, store));
        }
        images.push(SaveImage {
            names: Vec::new(),
            platform: Some(image.platform.clone()),
            config,
            manifest: Some(manifest.clone()),
            layers,
            annotations: Vec::new(),
        });
    }
    Ok(Some((list, images)))
}

fn read_config(image: &Image, store: &Store) -> Result<Raw<ImageConfig>, TransferError> {
    let invalid =
        |source| TransferError::Document { name: format!("image {}", image.id.short()), source };
    let config = store.blobs().read(&image.id, LIMIT)?;
    let config = config.ok_or(StoreError::BlobGone { digest: image.id })?;
    Raw::<ImageConfig>::parse(config).map_err(invalid)
}

/// Fetches those layers that are blobs in a registry only.
fn fetched(
    image: &Image,
    manifest: &Raw<ImageManifest>,
    store: &Store,
) -> Result<bool, TransferError> {
    for (id, descriptor) in image.layers.iter().zip(&manifest.value().layers) {
        store.layers().ensure_blob(id, &descriptor.digest)?;
    }
    Ok(true)
}

/// The layers of a manifest as the blobs that it names, if all of them are here.
fn blobs<'s>(
    manifest: &Raw<ImageManifest>,
    store: &'s Store,
    lease: &Lease,
) -> Result<Option<Vec<SaveLayer<'s>>>, TransferError> {
    let mut layers = Vec::new();
    for descriptor in &manifest.value().layers {
        let digest = descriptor.digest;
        if !lease.keep_blob(&digest)? || store.blobs().size(&digest)? != Some(descriptor.size) {
            return Ok(None);
        }
        layers.push(blob(descriptor, store));
    }
    Ok(Some(layers))
}
