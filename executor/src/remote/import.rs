//! What other stores cached. A step is looked up by its key; its layers stay where they are until
//! something needs their files, or an image names them.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gantry_cache::remote::{Imported, RemoteError, RemoteLayer, RemoteStep};
use gantry_cache::{Key, LayerId, RemoteForm, Store, StoreError};
use gantry_image::Descriptor;
use gantry_solver::key::Key as StepKey;
use gantry_solver::{Cached, Event, LayerRef, Observer, Snapshot, VertexId};

use super::{CachePlace, Places};
use crate::work::{layer_id, layer_ref};

/// The caches that a build asks besides its own store, in the order in which they were named.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    caches: Vec<Imported>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Layers that are not in the store yet: the number of the cache, and what it has.
    absent: HashMap<LayerId, (usize, RemoteLayer)>,
    hits: Vec<Hit>,
    /// Why something that a cache has by its own word could not be had.
    lost: Option<String>,
    /// Nobody is asked any more.
    given_up: bool,
}

/// A step that a cache knew.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) key: Key,
    pub(crate) cached: Cached,
    pub(crate) step: RemoteStep,
}

/// The first vertex that tells of an import.
const VERTEX: u32 = 0x1000_0000;

impl Imports {
    /// Opens the caches. One that isn't there, or can't be read, is worth a warning and no more.
    pub(crate) fn open(from: &[CachePlace], places: &Places<'_>, observer: &dyn Observer) -> Self {
        let mut caches = Vec::new();
        for (place, number) in from.iter().zip(VERTEX..) {
            let (vertex, began) = (VertexId::internal(number), Instant::now());
            let title = format!("importing cache manifest from {}", place.title());
            let (kind, inputs) = ("internal".to_owned(), Vec::new());
            observer.event(Event::VertexAdded { vertex, kind, title, inputs });
            observer.event(Event::Started { vertex });
            let warning = match Imported::open(place.open(false, places)) {
                Ok(Some(cache)) => {
                    caches.push(cache);
                    None
                }
                Ok(None) => Some("there is none".to_owned()),
                Err(error) => Some(chain(&error)),
            };
            observer.event(Event::Done { vertex, took: began.elapsed() });
            if let Some(why) = warning {
                let title = place.title();
                let message = format!("The cache of {title} is not used: {why}");
                observer.event(Event::Warning { vertex: None, message });
            }
        }
        Self { caches, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks a step up in one cache after the other.
    pub(crate) fn find(&self, key: &StepKey, store: &Store) -> Result<Option<Cached>, StoreError> {
        let key = Key(key.0);
        if self.state().given_up {
            return Ok(None);
        }
        let found = self.caches.iter().enumerate();
        let Some((number, step)) =
            found.into_iter().find_map(|(number, cache)| Some((number, cache.find(&key)?)))
        else {
            return Ok(None);
        };
        let known = |layers: &[RemoteLayer]| -> Result<Vec<LayerRef>, StoreError> {
            layers.iter().map(|layer| self.known(number, layer, store)).collect()
        };
        let (base, own) = (known(&step.base)?, known(&step.own)?);
        let base = base.into_iter().collect::<Snapshot>().id();
        let cached = Cached {
            own,
            base: (!step.any_base).then_some(base),
            content_key: StepKey(step.content_key.0),
            took: step.took,
        };
        let mut state = self.state();
        if state.hits.iter().all(|hit| hit.key != key) {
            state.hits.push(Hit { key, cached: cached.clone(), step });
        }
        Ok(Some(cached))
    }

    /// The name here of a layer that a cache has: that of the layer with the same tar, if there is
    /// one, else that of an image's.
    fn known(
        &self,
        number: usize,
        layer: &RemoteLayer,
        store: &Store,
    ) -> Result<LayerRef, StoreError> {
        if let Some(here) = store.layers().by_diff_id(&layer.diff_id)? {
            return Ok(layer_ref(&here.id));
        }
        let id = LayerId::from_diff_id(&layer.diff_id);
        self.state().absent.entry(id).or_insert_with(|| (number, layer.clone()));
        Ok(layer_ref(&id))
    }

    /// Puts those of the layers into the store that are in a cache only. They are not unpacked, and
    /// with `lazy` those that lie in a registry are not even fetched: the store knows where they are.
    ///
    /// # Errors
    /// A cache has a layer no more, or another one than it says.
    pub(crate) fn settle(
        &self,
        layers: &[LayerRef],
        store: &Store,
        lazy: bool,
    ) -> Result<(), RemoteError> {
        for layer in layers {
            let id = layer_id(layer);
            let Some((number, remote)) = self.state().absent.get(&id).cloned() else { continue };
            // Others may want it as well; they wait, and find it.
            let _one = store.lock("fetch", &id.0)?;
            if !self.state().absent.contains_key(&id) {
                continue;
            }
            let elsewhere = self.caches.get(number).filter(|_| lazy);
            let settled = match elsewhere.and_then(|cache| cache.cache().image()) {
                Some(image) => self.leave(number, &remote, image, store),
                None => self.bring(number, &remote, store),
            };
            settled.inspect_err(|error| self.state().lost = Some(chain(error)))?;
            self.state().absent.remove(&id);
        }
        Ok(())
    }

    /// Whether a cache could not give what it has by its own word.
    pub(crate) fn is_lossy(&self) -> bool {
        self.state().lost.is_some()
    }

    /// If so, says why, and asks and knows of no cache any more.
    pub(crate) fn give_up(&self) -> Option<String> {
        let mut state = self.state();
        let why = state.lost.take()?;
        *state = State { given_up: true, ..State::default() };
        Some(why)
    }

    /// Notes where a layer is, after a look whether it is there still.
    fn leave(
        &self,
        number: usize,
        layer: &RemoteLayer,
        image: String,
        store: &Store,
    ) -> Result<(), RemoteError> {
        let Some(cache) = self.caches.get(number) else { return Ok(()) };
        if !cache.cache().missing(std::slice::from_ref(&layer.blob))?.is_empty() {
            let (digest, place) = (layer.blob.digest, cache.cache().place());
            return Err(RemoteError::BlobMissing { digest, place });
        }
        store
            .layers()
            .add_remote(&layer.diff_id, &RemoteForm { image, blob: layer.blob.clone() })?;
        Ok(())
    }

    fn bring(&self, number: usize, layer: &RemoteLayer, store: &Store) -> Result<(), RemoteError> {
        let Some(cache) = self.caches.get(number) else { return Ok(()) };
        let place = || cache.cache().place();
        let mut reader = cache.cache().read(&layer.blob)?;
        let mut blob = store.blobs().writer()?;
        io::copy(&mut reader, &mut blob)
            .map_err(RemoteError::io(format!("fetch a layer from {}", place())))?;
        let (digest, _) = blob.finish(Some(layer.blob.digest)).map_err(|error| match error {
            StoreError::DigestMismatch { expected, actual } => {
                RemoteError::Digest { place: place(), expected, actual }
            }
            error => error.into(),
        })?;
        store.layers().add_blob(&layer.diff_id, &digest, layer.blob.media_type.as_str())?;
        Ok(())
    }

    /// How a layer is described that is not in the store.
    pub(crate) fn absent(&self, id: &LayerId) -> Option<RemoteLayer> {
        self.state().absent.get(id).map(|(_, layer)| layer.clone())
    }

    /// Opens the blob of a layer that is not in the store.
    pub(crate) fn read(
        &self,
        blob: &Descriptor,
    ) -> Option<Result<Box<dyn io::Read + Send>, RemoteError>> {
        let state = self.state();
        let (number, _) =
            state.absent.values().find(|(_, layer)| layer.blob.digest == blob.digest)?;
        let cache = self.caches.get(*number)?.cache();
        Some(cache.read(blob))
    }

    /// The name of an image that has the blob of a layer that is not in the store.
    pub(crate) fn image_of(&self, blob: &Descriptor) -> Option<String> {
        let state = self.state();
        let (number, _) =
            state.absent.values().find(|(_, layer)| layer.blob.digest == blob.digest)?;
        self.caches.get(*number)?.cache().image()
    }

    /// The steps that were found in caches.
    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.state().hits.clone()
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = all.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
