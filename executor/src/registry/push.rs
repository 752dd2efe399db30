//! Pushing: an image of the store into a registry, children before parents.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use gantry_cache::{Image, Layer, LayerId, Lease, NewImage, Store, StoreError};
use gantry_image::compress::Compression;
use gantry_image::registry::Pushed as Sent;
use gantry_image::{
    Descriptor, DiffId, Digest, ImageConfig, ImageIndex, ImageManifest, MediaType, Raw, Reference,
};
use gantry_solver::CancelToken;

use super::remote::Registry;
use super::{Moment, TransferError, Watch};
use crate::export::{ImageLayer, came_as, compress};
use crate::image_options::{ImageOptions, LayerCompression};

/// How many layers go at once.
const AT_ONCE: usize = 4;
/// No config and no manifest comes near this.
const LIMIT: u64 = 8 << 20;
/// No statement about an image comes near this.
const STATEMENTS: u64 = 100 << 20;

/// What to push.
#[derive(Debug, Clone)]
pub struct PushRequest<'a> {
    /// The ID of an image of the store.
    pub image: Digest,
    /// Where to, with a tag.
    pub reference: &'a Reference,
}

/// An image that is in the registry now.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The size of its manifest.
    pub size: u64,
    /// What kind of manifest it is.
    pub media_type: MediaType,
}

impl Registry {
    /// Pushes an image. One that came with a manifest keeps it, byte for byte; of any other the
    /// layers are compressed the first time, and both blobs and manifest are kept.
    ///
    /// # Errors
    /// [`TransferError`]. Blobs that are in the registry by then stay there, without a manifest.
    pub fn push(
        &self,
        request: &PushRequest<'_>,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Pushed, TransferError> {
        let lease = store.lease()?;
        let image = store.images().resolve(&request.image.to_string())?;
        lease.keep_layers(&image.layers)?;
        let bill = Bill::of_image(store, &image, &lease)?;
        let pushed = match List::of(store, &image, &bill)? {
            Some(list) => {
                self.upload_list(&list, &bill, request.reference, store, watch, cancel)?
            }
            None => self.upload(&bill, request.reference, store, watch, cancel)?,
        };
        let name = request.reference.with_digest(pushed.digest);
        if !image.names.contains(&name) {
            store.images().tag(&name, &image.id)?;
        }
        Ok(Pushed { digest: pushed.digest, size: pushed.size, media_type: pushed.media_type })
    }

    /// Brings an image into a repository, then what is said about it, and the index at last.
    fn upload_list(
        &self,
        list: &List,
        bill: &Bill,
        to: &Reference,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Descriptor, TransferError> {
        let by_digest = |digest: Digest| to.with_digest(digest);
        self.upload(bill, &by_digest(bill.descriptor().digest), store, watch, cancel)?;
        for (manifest, blobs) in &list.attached {
            for (descriptor, bytes) in blobs {
                self.push_bytes(to, descriptor, bytes, cancel)?;
            }
            let digest = manifest.digest();
            self.put(&by_digest(digest), &manifest.media_type(), manifest.bytes(), cancel)?;
        }
        let index = &list.index;
        let kind = index.media_type.clone().unwrap_or(MediaType::OciIndex);
        self.put(to, &kind, index.bytes(), cancel)?;
        Ok(Descriptor::new(kind, index.digest(), index.size()))
    }

    /// Brings all parts of an image into a repository, and the manifest at last: under the tag of
    /// `to`, or only by its digest.
    pub(crate) fn upload(
        &self,
        bill: &Bill,
        to: &Reference,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Descriptor, TransferError> {
        watch.moment(Moment::Layers(bill.diff_ids().iter().map(|diff_id| diff_id.0).collect()));
        let mut queue: VecDeque<(&Descriptor, &DiffId)> = VecDeque::new();
        // As docker does: the uppermost first, which is the one that is new.
        for pair in bill.manifest.layers.iter().zip(bill.diff_ids()).rev() {
            if !queue.iter().any(|(known, _)| known.digest == pair.0.digest) {
                queue.push_back(pair);
            }
        }
        let upload = Upload {
            registry: self,
            reference: to,
            elsewhere: elsewhere(store, to)?,
            store,
            watch,
            cancel,
            stop: AtomicBool::new(false),
            queue: Mutex::new(queue),
        };
        upload.run()?;
        self.push_bytes(to, &bill.manifest.config, bill.config.bytes(), cancel)?;
        let descriptor = bill.descriptor();
        self.put(to, &descriptor.media_type, bill.manifest.bytes(), cancel)?;
        Ok(descriptor)
    }
}

/// What makes up an image in a registry: all of it is in the store.
pub(crate) struct Bill {
    manifest: Raw<ImageManifest>,
    config: Raw<ImageConfig>,
}

impl Bill {
    fn of_image(store: &Store, image: &Image, lease: &Lease) -> Result<Self, TransferError> {
        let gone = StoreError::BlobGone { digest: image.id };
        let config = store.blobs().read(&image.id, LIMIT)?;
        let config = Raw::<ImageConfig>::parse(config.ok_or(gone)?)?;
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

    fn diff_ids(&self) -> &[DiffId] {
        &self.config.rootfs.diff_ids
    }

    /// Type, digest and size of the manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let manifest = &self.manifest;
        Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size())
    }
}

/// An index over an image and what is said about it, as the store keeps it.
struct List {
    index: Raw<ImageIndex>,
    attached: Vec<Spoken>,
}

/// A manifest of statements, and the blobs that it names.
type Spoken = (Raw<ImageManifest>, Vec<(Descriptor, Vec<u8>)>);

impl List {
    /// Reads what is said about an image, if it is about the manifest that is pushed.
    fn of(store: &Store, image: &Image, bill: &Bill) -> Result<Option<Self>, TransferError> {
        let Some(list) = image.list else { return Ok(None) };
        let read = |digest: &Digest| -> Result<Vec<u8>, TransferError> {
            let bytes = store.blobs().read(digest, STATEMENTS)?;
            Ok(bytes.ok_or(StoreError::BlobGone { digest: *digest })?)
        };
        let index = Raw::<ImageIndex>::parse(read(&list)?)?;
        let about = bill.descriptor().digest;
        if !index.images().any(|entry| entry.digest == about) {
            return Ok(None);
        }
        let mut attached = Vec::new();
        for entry in index.manifests.iter().filter(|entry| entry.is_attestation()) {
            let manifest = Raw::<ImageManifest>::parse(read(&entry.digest)?)?;
            let mut blobs = Vec::new();
            for blob in manifest.layers.iter().chain([&manifest.config]) {
                blobs.push((blob.clone(), read(&blob.digest)?));
            }
            attached.push((manifest, blobs));
        }
        Ok(Some(Self { index, attached }))
    }
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

/// Other repositories of the same registry, and the blobs of images that are known to be there.
fn elsewhere(
    store: &Store,
    to: &Reference,
) -> Result<Vec<(Reference, Vec<LayerId>)>, TransferError> {
    let mut found = Vec::new();
    for image in store.images().list()? {
        for name in &image.names {
            let other = name.domain() == to.domain() && name.path() != to.path();
            if other && name.digest().is_some() {
                found.push((name.clone(), image.layers.clone()));
            }
        }
    }
    Ok(found)
}

/// Layers under way.
struct Upload<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    elsewhere: Vec<(Reference, Vec<LayerId>)>,
    store: &'a Store,
    watch: &'a dyn Watch,
    cancel: &'a CancelToken,
    stop: AtomicBool,
    queue: Mutex<VecDeque<(&'a Descriptor, &'a DiffId)>>,
}

impl Upload<'_> {
    fn run(&self) -> Result<(), TransferError> {
        let count = self.queue.lock().unwrap_or_else(PoisonError::into_inner).len();
        std::thread::scope(|scope| {
            let work = || -> Result<(), TransferError> {
                while let Some((descriptor, diff_id)) = self.next() {
                    let one = self.layer(descriptor, diff_id);
                    self.stop.fetch_or(one.is_err(), Ordering::SeqCst);
                    one?;
                }
                Ok(())
            };
            let threads: Vec<_> = (1..count.min(AT_ONCE)).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for thread in threads {
                let other = thread.join().unwrap_or(Err(TransferError::Lost));
                done = done.and(other);
            }
            done
        })
    }

    fn next(&self) -> Option<(&Descriptor, &DiffId)> {
        if self.stop.load(Ordering::SeqCst) {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn layer(&self, descriptor: &Descriptor, diff_id: &DiffId) -> Result<(), TransferError> {
        let layer = diff_id.0;
        if descriptor.media_type.is_foreign() {
            self.watch.moment(Moment::Foreign(layer));
            return Ok(());
        }
        let known = self.store.layers().by_diff_id(diff_id)?;
        let from = known.as_ref().and_then(|layer| {
            let has = |(name, layers): &(Reference, Vec<LayerId>)| {
                layers.contains(&layer.id).then(|| name.clone())
            };
            self.near(layer, descriptor).or_else(|| self.elsewhere.iter().find_map(has))
        });
        if let Some(known) = &known
            && self.store.blobs().size(&descriptor.digest)?.is_none()
        {
            // Nobody needed it so far, and maybe nobody does now.
            if self.registry.has_blob(self.reference, descriptor, self.cancel)? {
                self.watch.moment(Moment::Exists(layer));
                return Ok(());
            }
            if let Some(from) = &from
                && self.registry.mount(self.reference, descriptor, from, self.cancel)?
            {
                self.watch.moment(Moment::Mounted { layer, from: from.path().to_owned() });
                return Ok(());
            }
            self.store.layers().ensure_blob(&known.id, &descriptor.digest)?;
        }
        let told = |current| {
            let total = descriptor.size;
            self.watch.moment(Moment::Progress { layer, current, total });
        };
        let path = self.store.blobs().path(&descriptor.digest);
        let sent = self.registry.push_file(
            self.reference,
            descriptor,
            &path,
            from.as_ref(),
            &told,
            self.cancel,
        )?;
        if sent == Sent::Uploaded {
            told(descriptor.size);
        }
        self.watch.moment(match (sent, from) {
            (Sent::Mounted, Some(from)) => Moment::Mounted { layer, from: from.path().to_owned() },
            (Sent::Existed, _) => Moment::Exists(layer),
            _ => Moment::Pushed(layer),
        });
        Ok(())
    }

    /// The place in the same registry from which the layer's blob would be fetched.
    fn near(&self, layer: &Layer, descriptor: &Descriptor) -> Option<Reference> {
        let places = layer.forms.remote.iter();
        let places = places.filter(|form| form.blob.digest == descriptor.digest);
        let mut places = places.filter_map(|form| form.image.parse::<Reference>().ok());
        places.find(|place| {
            place.domain() == self.reference.domain() && place.path() != self.reference.path()
        })
    }
}
