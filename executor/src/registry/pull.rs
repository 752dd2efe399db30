//! Pulling: from a reference to an image of the store.

use gantry_cache::{LayerId, NewList, Store};
use gantry_image::layer::UnpackOptions;
use gantry_image::{
    Descriptor, DiffId, Digest, ImageConfig, ImageIndex, ImageManifest, Platform, Raw, Reference,
};
use gantry_sandbox::Host;
use gantry_solver::CancelToken;

use super::fetch::{Fetch, Wanted};
use super::found::Found;
use super::remote::{Document, Registry};
use super::{Moment, TransferError, Watch};
use crate::work::unpack_options;

/// An index in an index in an index is nobody's honest image.
const DEEPEST: usize = 3;

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullRequest<'a> {
    /// The image, with its tag or digest.
    pub reference: &'a Reference,
    /// For which platform. `None`: the host's, or whatever a single image is for.
    pub platform: Option<&'a Platform>,
    /// Whether all that an index lists is pulled, and kept as that index: `platform` says then which
    /// of the images is shown.
    pub all: bool,
    /// Whether the image gets the tag that it was asked for by; the name with its digest it gets
    /// anyway.
    pub tag: bool,
}

/// An image that is in the store now.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// Its ID.
    pub id: Digest,
    /// What the reference stands for in the registry: the digest of an index or a manifest.
    pub digest: Digest,
    /// Its config.
    pub config: Raw<ImageConfig>,
    /// Its layers, lowest first.
    pub layers: Vec<LayerId>,
    /// Something is in the store, or has a name, that wasn't there or didn't before.
    pub newer: bool,
}

impl Registry {
    /// Pulls an image: for one platform, each layer that the store doesn't have, several at once.
    ///
    /// Everything that is put in is leased by the store's handle.
    ///
    /// # Errors
    /// [`TransferError`]. Whole layers that came by then stay, without an image.
    pub fn pull(
        &self,
        request: &PullRequest<'_>,
        store: &Store,
        host: &Host,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Pulled, TransferError> {
        if request.all
            && let Some(pulled) = self.pull_all(request, store, host, watch, cancel)?
        {
            return Ok(pulled);
        }
        let found = self.find(request.reference, request.platform, cancel)?;
        if let Some(wanted) = request.platform {
            found.check(request.reference, wanted)?;
        }
        self.take(&found, request, store, &unpack_options(host), watch, cancel)
    }

    /// Pulls all that an index lists. Nothing is done if the reference stands for a single image.
    fn pull_all(
        &self,
        request: &PullRequest<'_>,
        store: &Store,
        host: &Host,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Option<Pulled>, TransferError> {
        let reference = request.reference;
        let document = self.document(reference, cancel)?;
        if !document.media_type.is_index() {
            return Ok(None);
        }
        let index = Raw::<ImageIndex>::parse(document.bytes)?;
        let (mut images, mut blobs) = (Vec::new(), Vec::new());
        for entry in &index.manifests {
            let document = self.document(&reference.with_digest(entry.digest), cancel)?;
            let manifest = Raw::<ImageManifest>::parse(document.bytes.clone())?;
            blobs.push(store.blobs().put(manifest.bytes())?);
            let image = !entry.is_attestation()
                && manifest.artifact_type.is_none()
                && manifest.config.media_type.is_config();
            if image {
                images.push(self.found(reference, index.digest(), document, cancel)?);
                continue;
            }
            for part in manifest.layers.iter().chain([&manifest.config]) {
                blobs.push(self.keep_blob(reference, part, store, cancel)?);
            }
        }
        let shown = shown(&images, request.platform).ok_or_else(|| TransferError::NoPlatform {
            wanted: Box::new(request.platform.cloned().unwrap_or_else(Platform::host)),
            available: images.iter().filter_map(Found::platform).collect(),
        })?;
        let mut wanted: Vec<Wanted> = Vec::new();
        for (descriptor, diff_id) in images.iter().flat_map(Found::layers) {
            if wanted.iter().all(|known| known.diff_id != *diff_id) {
                let places = vec![(reference.clone(), descriptor.clone())];
                wanted.push(Wanted { diff_id: *diff_id, places });
            }
        }
        let digests = wanted.iter().flat_map(|wanted| &wanted.places);
        watch.moment(Moment::Layers(digests.map(|(_, blob)| blob.digest).collect()));
        let lease = store.lease()?;
        let unpack = unpack_options(host);
        let fetch = Fetch::new(self, store, &unpack, &lease, watch, cancel);
        let mut newer = fetch.run(wanted)?;
        let mut kept = Vec::new();
        for found in &images {
            let (id, layers, new) = found.store(store)?;
            newer |= new;
            kept.push((id, layers));
        }
        let all: Vec<Digest> = kept.iter().map(|(id, _)| *id).collect();
        let list =
            NewList { index: store.blobs().put(index.bytes())?, blobs: &blobs, images: &all };
        let (id, layers) = kept.swap_remove(shown);
        store.images().set_list(&id, Some(&list))?;
        let found = images.swap_remove(shown);
        newer |= found.name(request, store, &id)?;
        Ok(Some(Pulled { id, digest: found.digest, config: found.config, layers, newer }))
    }

    /// Brings a blob into the store that is no layer of an image.
    fn keep_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        store: &Store,
        cancel: &CancelToken,
    ) -> Result<Digest, TransferError> {
        if store.lease()?.keep_blob(&blob.digest)? {
            return Ok(blob.digest);
        }
        let what = || format!("fetch the blob `{}`", blob.digest);
        let mut stream = self.blob(reference, blob, cancel)?;
        let failures = stream.failures();
        let mut writer = store.blobs().writer()?;
        std::io::copy(&mut stream, &mut writer)
            .map_err(|error| failures.take().unwrap_or_else(|| TransferError::io(what())(error)))?;
        Ok(writer.finish(Some(blob.digest))?.0)
    }

    /// Finds out what a reference stands for, without fetching a layer.
    ///
    /// A single image is what it is, whatever platform was asked for: [`Found::check`].
    pub(crate) fn find(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        cancel: &CancelToken,
    ) -> Result<Found, TransferError> {
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let first = self.document(reference, cancel)?;
        let digest = first.digest;
        let mut document = first;
        for _ in 0..DEEPEST {
            if !document.media_type.is_index() {
                break;
            }
            let index = Raw::<ImageIndex>::parse(document.bytes)?;
            let chosen = index.select(&wanted).map_err(|error| TransferError::NoPlatform {
                wanted: error.wanted,
                available: error.available,
            });
            // Indexes inside of an index have no platform of their own.
            let chosen = match (chosen, nested(index.value())) {
                (Ok(chosen), _) | (Err(_), Some(chosen)) => chosen.digest,
                (Err(error), None) => return Err(error),
            };
            document = self.document(&reference.with_digest(chosen), cancel)?;
        }
        self.found(reference, digest, document, cancel)
    }

    /// The image whose manifest a document is; `digest` is what its name stands for.
    fn found(
        &self,
        reference: &Reference,
        digest: Digest,
        document: Document,
        cancel: &CancelToken,
    ) -> Result<Found, TransferError> {
        let manifest = self.image_manifest(reference, document)?;
        let config = self.config(reference, &manifest.value().config, cancel)?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            let reference = reference.familiar();
            return Err(TransferError::Inconsistent { reference, layers, diff_ids });
        }
        Ok(Found { digest, manifest, config })
    }

    fn image_manifest(
        &self,
        reference: &Reference,
        document: Document,
    ) -> Result<Raw<ImageManifest>, TransferError> {
        let name = || reference.familiar();
        if document.media_type.is_schema1() {
            return Err(TransferError::Schema1 { reference: name() });
        }
        if !document.media_type.is_manifest() {
            return Err(TransferError::NotAnImage {
                reference: name(),
                part: "manifest",
                media_type: document.media_type.as_str().to_owned(),
            });
        }
        let manifest = Raw::<ImageManifest>::parse(document.bytes)?;
        let kind = &manifest.config.media_type;
        if !kind.is_config() {
            let media_type = kind.as_str().to_owned();
            return Err(TransferError::NotAnImage {
                reference: name(),
                part: "config",
                media_type,
            });
        }
        if let Some(layer) = manifest.layers.iter().find(|layer| !layer.media_type.is_layer()) {
            let media_type = layer.media_type.as_str().to_owned();
            return Err(TransferError::NotAnImage { reference: name(), part: "layer", media_type });
        }
        Ok(manifest)
    }

    /// Brings in what the store doesn't have of an image, and the image itself at last.
    pub(crate) fn take(
        &self,
        found: &Found,
        request: &PullRequest<'_>,
        store: &Store,
        unpack: &UnpackOptions,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Pulled, TransferError> {
        let manifest = &found.manifest;
        watch.moment(Moment::Layers(manifest.layers.iter().map(|layer| layer.digest).collect()));
        let lease = store.lease()?;
        let place = |(descriptor, diff_id): (&Descriptor, &DiffId)| Wanted {
            diff_id: *diff_id,
            places: vec![(request.reference.clone(), descriptor.clone())],
        };
        let wanted = found.layers().into_iter().map(place).collect();
        let came = Fetch::new(self, store, unpack, &lease, watch, cancel).run(wanted)?;
        let pulled = found.keep(request, store)?;
        Ok(Pulled { newer: came || pulled.newer, ..pulled })
    }
}

/// Which of an index's images its name shows: the one that suits the platform; where none was asked
/// for, the host's, or else the first.
fn shown(images: &[Found], platform: Option<&Platform>) -> Option<usize> {
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    let rank = |found: &Found| found.platform().and_then(|offered| wanted.rank(&offered));
    let ranked = images.iter().enumerate().filter_map(|(at, found)| Some((rank(found)?, at)));
    let best = ranked.min().map(|(_, at)| at);
    best.or((platform.is_none() && !images.is_empty()).then_some(0))
}

/// The one index inside of an index, if there is nothing else to choose.
fn nested(index: &ImageIndex) -> Option<&Descriptor> {
    let mut inner = index.manifests.iter().filter(|entry| entry.media_type.is_index());
    let first = inner.next()?;
    inner.next().is_none().then_some(first)
}
