//! Pulling: from a reference to an image of the store.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gantry_cache::{LayerId, Lease, NewImage, Store};
use gantry_image::layer::UnpackOptions;
use gantry_image::{
    DateTime, Descriptor, DiffId, Digest, ImageConfig, ImageIndex, ImageManifest, Platform, Raw,
    Reference,
};
use gantry_sandbox::Host;
use gantry_solver::CancelToken;

use super::layer::take_in;
use super::remote::{Document, Registry};
use super::{Moment, TransferError, Watch};
use crate::work::unpack_options;

/// How many layers come at once.
const AT_ONCE: usize = 4;
/// An index in an index in an index is nobody's honest image.
const DEEPEST: usize = 3;

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullRequest<'a> {
    /// The image, with its tag or digest.
    pub reference: &'a Reference,
    /// For which platform. `None`: the host's, or whatever a single image is for.
    pub platform: Option<&'a Platform>,
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

/// What a reference came to.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) manifest: Raw<ImageManifest>,
    pub(crate) config: Raw<ImageConfig>,
}

impl Found {
    /// Returns what the image runs on; nothing if it doesn't say.
    pub(crate) fn platform(&self) -> Option<Platform> {
        Some(self.config.platform()).filter(|platform| !platform.os.is_empty())
    }

    /// Refuses an image that is for another platform.
    fn check(&self, reference: &Reference, wanted: &Platform) -> Result<(), TransferError> {
        match self.platform() {
            Some(actual) if !wanted.matches(&actual) => Err(TransferError::OtherPlatform {
                reference: reference.familiar(),
                wanted: Box::new(wanted.clone()),
                actual: Box::new(actual),
            }),
            _ => Ok(()),
        }
    }
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
        let found = self.find(request.reference, request.platform, cancel)?;
        if let Some(wanted) = request.platform {
            found.check(request.reference, wanted)?;
        }
        self.take(&found, request, store, &unpack_options(host), watch, cancel)
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
        let Found { digest, manifest, config } = found;
        let diff_ids = &config.rootfs.diff_ids;
        watch.moment(Moment::Layers(manifest.layers.iter().map(|layer| layer.digest).collect()));
        let lease = store.lease()?;
        let mut all: Vec<(&Descriptor, &DiffId)> = Vec::new();
        for pair in manifest.layers.iter().zip(diff_ids) {
            // One layer may be in an image twice.
            if !all.iter().any(|(_, diff_id)| *diff_id == pair.1) {
                all.push(pair);
            }
        }
        let fetch = Fetch {
            registry: self,
            reference: request.reference,
            store,
            unpack,
            lease: &lease,
            watch,
            cancel,
            stop: AtomicBool::new(false),
            queue: Mutex::new(all.into()),
        };
        let came = fetch.run()?;
        let mut layers = Vec::with_capacity(diff_ids.len());
        let mut size = 0;
        for diff_id in diff_ids {
            let layer = store.layers().by_diff_id(diff_id)?.ok_or(TransferError::Lost)?;
            size += match layer.size {
                Some(size) => size,
                None => store.layers().ensure_manifest(&layer.id)?.total_size(),
            };
            layers.push(layer.id);
        }
        let id = store.blobs().put(config.bytes())?;
        let images = store.images();
        let known = images.get(&id)?;
        images.put(&NewImage {
            id,
            manifest: Some(store.blobs().put(manifest.bytes())?),
            platform: &config.platform().normalized(),
            layers: &layers,
            size,
            created: config.created.as_ref().and_then(system_time),
        })?;
        let mut newer = came || known.is_none();
        let names = known.map(|image| image.names).unwrap_or_default();
        let reference = request.reference;
        let tag = reference.tag().filter(|_| request.tag && reference.digest().is_none());
        let tagged = tag.and_then(|tag| reference.with_tag(tag).ok());
        for name in tagged.into_iter().chain([reference.with_digest(*digest)]) {
            if !names.contains(&name) {
                newer = true;
                images.tag(&name, &id)?;
            }
        }
        Ok(Pulled { id, digest: *digest, config: config.clone(), layers, newer })
    }
}

/// The one index inside of an index, if there is nothing else to choose.
fn nested(index: &ImageIndex) -> Option<&Descriptor> {
    let mut inner = index.manifests.iter().filter(|entry| entry.media_type.is_index());
    let first = inner.next()?;
    inner.next().is_none().then_some(first)
}

/// A config's time as the store wants it.
fn system_time(time: &DateTime) -> Option<SystemTime> {
    let (seconds, nanos) = time.unix()?;
    let whole = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(whole + Duration::from_nanos(nanos.into()))
}

/// Layers under way.
struct Fetch<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    store: &'a Store,
    unpack: &'a UnpackOptions,
    lease: &'a Lease,
    watch: &'a dyn Watch,
    cancel: &'a CancelToken,
    stop: AtomicBool,
    queue: Mutex<VecDeque<(&'a Descriptor, &'a DiffId)>>,
}

impl Fetch<'_> {
    /// Fetches all layers. Says whether any had to be.
    fn run(&self) -> Result<bool, TransferError> {
        let count = self.queue.lock().unwrap_or_else(PoisonError::into_inner).len();
        std::thread::scope(|scope| {
            let work = || -> Result<bool, TransferError> {
                let mut came = false;
                while let Some((descriptor, diff_id)) = self.next() {
                    let one = self.layer(descriptor, diff_id);
                    self.stop.fetch_or(one.is_err(), Ordering::SeqCst);
                    came |= one?;
                }
                Ok(came)
            };
            let threads: Vec<_> = (1..count.min(AT_ONCE)).map(|_| scope.spawn(work)).collect();
            let mut came = work();
            for thread in threads {
                let other = thread.join().unwrap_or(Err(TransferError::Lost));
                came = match (came, other) {
                    (Ok(one), Ok(other)) => Ok(one | other),
                    // Who was only stopped has nothing to say about why.
                    (Err(TransferError::Canceled) | Ok(_), Err(error)) | (Err(error), _) => {
                        Err(error)
                    }
                };
            }
            came
        })
    }

    fn next(&self) -> Option<(&Descriptor, &DiffId)> {
        if self.stop.load(Ordering::SeqCst) {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Brings one layer in, unless it is there. Says whether it had to be fetched.
    fn layer(&self, descriptor: &Descriptor, diff_id: &DiffId) -> Result<bool, TransferError> {
        let id = LayerId::from_diff_id(diff_id);
        let there = || -> Result<bool, TransferError> {
            // Kept first and looked for then: in the other order it might be pruned in between.
            if self.lease.keep(&id)? {
                return Ok(true);
            }
            match self.store.layers().by_diff_id(diff_id)? {
                Some(layer) => Ok(self.lease.keep(&layer.id)?),
                None => Ok(false),
            }
        };
        if there()? {
            self.watch.moment(Moment::Exists(descriptor.digest));
            return Ok(false);
        }
        let _one = self.lock(diff_id)?;
        if there()? {
            self.watch.moment(Moment::Exists(descriptor.digest));
            return Ok(false);
        }
        // What came wrong may come right from another mirror, or the second time.
        let fetched = match self.fetch(descriptor, diff_id) {
            Err(error) if error.is_transient() && !self.stopped() => {
                self.fetch(descriptor, diff_id)
            }
            other => other,
        };
        self.lease.keep(&fetched?)?;
        self.watch.moment(Moment::Pulled(descriptor.digest));
        Ok(true)
    }

    /// Waits until no other process fetches this layer.
    fn lock(&self, diff_id: &DiffId) -> Result<gantry_cache::LockGuard, TransferError> {
        loop {
            if self.stopped() {
                return Err(TransferError::Canceled);
            }
            let key = diff_id.0.to_string();
            if let Some(guard) = self.store.try_lock("pull", key.as_bytes())? {
                return Ok(guard);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stopped(&self) -> bool {
        self.cancel.is_canceled() || self.stop.load(Ordering::SeqCst)
    }

    fn fetch(&self, descriptor: &Descriptor, diff_id: &DiffId) -> Result<LayerId, TransferError> {
        let stream = self.registry.blob(self.reference, descriptor, self.cancel)?;
        let failure = stream.failures();
        let counted = Counted { inner: stream, fetch: self, descriptor, current: 0, told: None };
        take_in(counted, descriptor, diff_id, self.store, self.unpack)
            .map_err(|error| failure.take().unwrap_or(error))
    }
}

/// Tells how far a layer has come, and ends when it shall stop.
struct Counted<'a, 'f, R> {
    inner: R,
    fetch: &'a Fetch<'f>,
    descriptor: &'a Descriptor,
    current: u64,
    /// When it was told last.
    told: Option<Instant>,
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const EVERY: Duration = Duration::from_millis(100);
        if self.fetch.stopped() {
            return Err(io::Error::other("canceled"));
        }
        let count = self.inner.read(buffer)?;
        self.current += count as u64;
        let total = self.descriptor.size;
        let due = self.told.is_none_or(|told| told.elapsed() >= EVERY);
        if count > 0 && (due || self.current == total) {
            self.told = Some(Instant::now());
            let (layer, current) = (self.descriptor.digest, self.current);
            self.fetch.watch.moment(Moment::Progress { layer, current, total });
        }
        Ok(count)
    }
}
