//! Layers on their way into the store: several at once, each from the first place that gives it.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_cache::{LayerId, Lease, Store};
use gantry_image::layer::UnpackOptions;
use gantry_image::{Descriptor, DiffId, Digest, Reference};
use gantry_solver::CancelToken;

use super::layer::take_in;
use super::remote::Registry;
use super::{Moment, TransferError, Watch};

/// How many layers come at once.
const AT_ONCE: usize = 4;

/// A layer that is wanted, and where it can be had: there is at least one place.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) diff_id: DiffId,
    pub(super) places: Vec<(Reference, Descriptor)>,
}

impl Wanted {
    /// By which it is told of.
    fn digest(&self) -> Digest {
        self.places.first().map_or(self.diff_id.0, |(_, descriptor)| descriptor.digest)
    }
}

/// Layers under way.
pub(super) struct Fetch<'a> {
    registry: &'a Registry,
    store: &'a Store,
    unpack: &'a UnpackOptions,
    lease: &'a Lease,
    watch: &'a dyn Watch,
    cancel: &'a CancelToken,
    stop: AtomicBool,
    queue: Mutex<VecDeque<Wanted>>,
    failed: Mutex<Option<Wanted>>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        store: &'a Store,
        unpack: &'a UnpackOptions,
        lease: &'a Lease,
        watch: &'a dyn Watch,
        cancel: &'a CancelToken,
    ) -> Self {
        let (stop, queue, failed) = <(_, _, _)>::default();
        Self { registry, store, unpack, lease, watch, cancel, stop, queue, failed }
    }

    /// Fetches layers that the store doesn't have. Says whether there were any.
    pub(super) fn run(&self, wanted: Vec<Wanted>) -> Result<bool, TransferError> {
        let count = wanted.len();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = wanted.into();
        std::thread::scope(|scope| {
            let work = || -> Result<bool, TransferError> {
                let mut came = false;
                while let Some(wanted) = self.next() {
                    let one = self.layer(&wanted);
                    if one.is_err() && !self.stop.swap(true, Ordering::SeqCst) {
                        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
                    }
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

    /// The layer that could not be had, and the place that was asked for it first.
    pub(super) fn failed(&self) -> Option<(Digest, String)> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (reference, descriptor) = failed.places.first()?;
        Some((descriptor.digest, reference.familiar()))
    }

    fn next(&self) -> Option<Wanted> {
        if self.stop.load(Ordering::SeqCst) {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Brings one layer in, unless it is there. Says whether it had to be fetched.
    fn layer(&self, wanted: &Wanted) -> Result<bool, TransferError> {
        if self.is_here(&wanted.diff_id)? {
            self.watch.moment(Moment::Exists(wanted.digest()));
            return Ok(false);
        }
        let _one = self.lock(&wanted.diff_id)?;
        if self.is_here(&wanted.diff_id)? {
            self.watch.moment(Moment::Exists(wanted.digest()));
            return Ok(false);
        }
        let mut fetched = Err(TransferError::Lost);
        for (number, (reference, descriptor)) in wanted.places.iter().enumerate() {
            let mut one = self.fetch(reference, descriptor, wanted);
            // What came wrong may come right from another mirror, or the second time.
            if one.as_ref().is_err_and(TransferError::is_transient) && !self.stopped() {
                one = self.fetch(reference, descriptor, wanted);
            }
            if one.is_ok() || number == 0 || self.stopped() {
                fetched = one;
            }
            if fetched.is_ok() || self.stopped() {
                break;
            }
        }
        self.lease.keep(&fetched?)?;
        self.watch.moment(Moment::Pulled(wanted.digest()));
        Ok(true)
    }

    /// Says whether bytes of the layer are in the store, and keeps it there then.
    fn is_here(&self, diff_id: &DiffId) -> Result<bool, TransferError> {
        let layers = self.store.layers();
        // Kept first and looked for then: in the other order it might be pruned in between.
        let id = LayerId::from_diff_id(diff_id);
        if self.lease.keep(&id)? && layers.get(&id)?.is_some_and(|layer| !layer.is_remote_only()) {
            return Ok(true);
        }
        match layers.by_diff_id(diff_id)? {
            Some(layer) if !layer.is_remote_only() => Ok(self.lease.keep(&layer.id)?),
            _ => Ok(false),
        }
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

    fn fetch(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        wanted: &Wanted,
    ) -> Result<LayerId, TransferError> {
        let stream = self.registry.blob(reference, descriptor, self.cancel)?;
        let failure = stream.failures();
        let digest = wanted.digest();
        let counted = Counted {
            inner: stream,
            fetch: self,
            digest,
            total: descriptor.size,
            current: 0,
            told: None,
        };
        take_in(counted, descriptor, &wanted.diff_id, self.store, self.unpack)
            .map_err(|error| failure.take().unwrap_or(error))
    }
}

/// Tells how far a layer has come, and ends when it shall stop.
struct Counted<'a, 'f, R> {
    inner: R,
    fetch: &'a Fetch<'f>,
    digest: Digest,
    total: u64,
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
        let total = self.total;
        let due = self.told.is_none_or(|told| told.elapsed() >= EVERY);
        if count > 0 && (due || self.current == total) {
            self.told = Some(Instant::now());
            let (layer, current) = (self.digest, self.current);
            self.fetch.watch.moment(Moment::Progress { layer, current, total });
        }
        Ok(count)
    }
}
