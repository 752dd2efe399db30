//! Pushing: an image of the store into a registry, children before parents.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use gantry_cache::{Image, Layer, LayerId, Lease, Member, NewImage, NewList, Store, StoreError};
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

/// What to push.
#[derive(Debug, Clone)]
pub struct PushRequest<'a> {
    /// The ID of an image of the store.
    pub image: Digest,
    /// The index that is pushed whole, with this image and all others; else the image alone.
    pub list: Option<Digest>,
    /// Where to, with a tag.
    pub reference: &'a Reference,
}

/// An image that is in the registry now.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The digest of its manifest, or of the index.
    pub digest: Digest,
    /// The size of that.
    pub size: u64,
    /// What kind of manifest it is.
    pub media_type: MediaType,
}

impl Registry {
    /// Pushes an image, or all that an index lists and then the index. An image that came with a manifest keeps it, byte for byte; of any other the
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
        let to = request.reference;
        let name = |pushed: &Descriptor| to.with_digest(pushed.digest);
        let pushed = match &request.list {
            Some(index) => {
                let list = Listing::of(store, index, &lease)?;
                let pushed = self.upload_list(&list, to, store, watch, cancel)?;
                if list.index.digest() != *index {
                    list.keep(store, &image.id)?;
                    store.images().tag_list(to, &image.id, Some(&pushed.digest))?;
                }
                store.images().tag_list(&name(&pushed), &image.id, Some(&pushed.digest))?;
                pushed
            }
            None => {
                lease.keep_layers(&image.layers)?;
                let bill = Bill::of_image(store, &image, &lease)?;
                let pushed = self.upload(&bill, to, store, watch, cancel)?;
                if !image.names.contains(&name(&pushed)) {
                    store.images().tag(&name(&pushed), &image.id)?;
                }
                pushed
            }
        };
        Ok(Pushed { digest: pushed.digest, size: pushed.size, media_type: pushed.media_type })
    }

    /// Brings all that an index lists into a repository, and the index at last.
    fn upload_list(
        &self,
        list: &Listing,
        to: &Reference,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Descriptor, TransferError> {
        let by_digest = |digest: Digest| to.with_digest(digest);
        for bill in &list.bills {
            self.upload(bill, &by_digest(bill.descriptor().digest), store, watch, cancel)?;
        }
        for (manifest, blobs) in &list.others {
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

    fn diff_ids(&self) -> &[DiffId] {
        &self.config.rootfs.diff_ids
    }

    /// Type, digest and size of the manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let manifest = &self.manifest;
        Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size())
    }
}

/// An index of the store as it goes into a registry, where layers are compressed.
struct Listing {
    index: Raw<ImageIndex>,
    bills: Vec<Bill>,
    others: Vec<Spoken>,
}

/// A manifest that is no image's, and the blobs that it names.
type Spoken = (Raw<ImageManifest>, Vec<(Descriptor, Vec<u8>)>);

impl Listing {
    /// Compresses what is to be compressed. Where that gives an image another manifest, what is said
    /// about the old one is left out; where all stays as it is, so does the index, byte for byte.
    fn of(store: &Store, index: &Digest, lease: &Lease) -> Result<Self, TransferError> {
        let list = store.images().members(index)?;
        let mut made = list.index.value().clone();
        made.manifests.clear();
        let (mut bills, mut others) = (Vec::new(), Vec::new());
        let mut spoken_of = Vec::new();
        for (entry, member) in list.index.manifests.iter().zip(list.members) {
            match member {
                Member::Image { image, manifest } => {
                    lease.keep_layers(&image.layers)?;
                    let config = read_config(store, &image.id)?;
                    let bill = Bill::new(store, config, Some(manifest), &image.layers, lease)?;
                    let pushed = bill.descriptor();
                    spoken_of.push((entry.digest, pushed.digest));
                    made.manifests.push(Descriptor {
                        media_type: pushed.media_type,
                        digest: pushed.digest,
                        size: pushed.size,
                        ..entry.clone()
                    });
                    bills.push(bill);
                }
                Member::Other { manifest, blobs } => {
                    made.manifests.push(entry.clone());
                    others.push((manifest, blobs));
                }
            }
        }
        let lost = |entry: &Descriptor| {
            let about = entry.attested();
            spoken_of.iter().any(|(old, new)| Some(*old) == about && old != new)
        };
        let lost: Vec<Digest> =
            made.manifests.iter().filter(|entry| lost(entry)).map(|entry| entry.digest).collect();
        made.manifests.retain(|entry| !lost.contains(&entry.digest));
        others.retain(|(manifest, _)| !lost.contains(&manifest.digest()));
        let index = match made == *list.index.value() {
            true => list.index,
            false => Raw::write(made),
        };
        Ok(Self { index, bills, others })
    }

    /// Keeps the index as it was pushed, with an image that it lists.
    fn keep(&self, store: &Store, id: &Digest) -> Result<(), TransferError> {
        let index = store.blobs().put(self.index.bytes())?;
        let mut blobs = Vec::new();
        for bill in &self.bills {
            blobs.push(store.blobs().put(bill.manifest.bytes())?);
        }
        for (manifest, parts) in &self.others {
            blobs.push(manifest.digest());
            blobs.extend(parts.iter().map(|(part, _)| part.digest));
        }
        let images: Vec<Digest> = self.bills.iter().map(|bill| bill.config.digest()).collect();
        let list = NewList { index, blobs: &blobs, images: &images };
        Ok(store.images().set_list(id, Some(&list))?)
    }
}

fn read_config(store: &Store, id: &Digest) -> Result<Raw<ImageConfig>, TransferError> {
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
