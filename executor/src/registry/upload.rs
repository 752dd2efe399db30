//! Layers of one image on their way into a repository, several at once: what is there is left, what
//! the registry has elsewhere is mounted, and only the rest is fetched or compressed, and sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use gantry_cache::{Layer, LayerId, Store};
use gantry_image::registry::Pushed as Sent;
use gantry_image::{Descriptor, DiffId, Reference};
use gantry_solver::CancelToken;

use super::remote::Registry;
use super::{Moment, TransferError, Watch};

/// How many layers go at once.
const AT_ONCE: usize = 4;

/// Layers under way.
pub(super) struct Upload<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    elsewhere: Vec<(Reference, Vec<LayerId>)>,
    store: &'a Store,
    watch: &'a dyn Watch,
    cancel: &'a CancelToken,
    stop: AtomicBool,
    queue: Mutex<VecDeque<(&'a Descriptor, &'a DiffId)>>,
}

impl<'a> Upload<'a> {
    /// Takes a queue of layers, each once, which go to `reference`.
    pub(super) fn new(
        registry: &'a Registry,
        reference: &'a Reference,
        store: &'a Store,
        watch: &'a dyn Watch,
        cancel: &'a CancelToken,
        queue: VecDeque<(&'a Descriptor, &'a DiffId)>,
    ) -> Result<Self, TransferError> {
        Ok(Self {
            registry,
            reference,
            elsewhere: elsewhere(store, reference)?,
            store,
            watch,
            cancel,
            stop: AtomicBool::new(false),
            queue: Mutex::new(queue),
        })
    }

    /// Brings all of them there, several at once. The first failure ends it.
    pub(super) fn run(&self) -> Result<(), TransferError> {
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
