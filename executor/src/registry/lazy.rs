//! Layers that are known by a descriptor only, and come when something needs them.
//!
//! [`Lazy`] is a build's: what a step needs comes at once, several layers at a time, unpacked while
//! it comes. [`Fetcher`] is what a handle of the store falls back on for everything else.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use gantry_cache::{FetchError, Layer, RemoteForm, Store, StoreError};
use gantry_image::Reference;
use gantry_image::layer::UnpackOptions;
use gantry_solver::{CancelToken, Event, Observer, VertexId};

use super::fetch::{Fetch, Wanted};
use super::{Moment, Registry, TransferError, Watch};

/// The first vertex that tells of layers being fetched.
const FIRST_VERTEX: u32 = 0x3000_0000;

/// Fetches layers for one build.
pub(crate) struct Lazy {
    registry: Arc<Registry>,
    observer: Arc<dyn Observer>,
    cancel: CancelToken,
    vertices: AtomicU32,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").finish_non_exhaustive()
    }
}

impl Lazy {
    pub(crate) fn new(
        registry: Arc<Registry>,
        observer: Arc<dyn Observer>,
        cancel: CancelToken,
    ) -> Self {
        Self { registry, observer, cancel, vertices: AtomicU32::new(FIRST_VERTEX) }
    }

    /// Brings layers into the store, of which it has no bytes.
    ///
    /// # Errors
    /// [`StoreError::Fetch`], if one can't be had.
    pub(crate) fn bring(
        &self,
        layers: &[Layer],
        store: &Store,
        unpack: &UnpackOptions,
    ) -> Result<(), StoreError> {
        let wanted: Vec<Wanted> = layers.iter().filter_map(wanted).collect();
        let Some((image, _)) = wanted.first().and_then(|wanted| wanted.places.first()) else {
            return Ok(());
        };
        let vertex = VertexId::internal(self.vertices.fetch_add(1, Ordering::SeqCst));
        let tell = |event| self.observer.event(event);
        let title = format!("[internal] pull {image}");
        tell(Event::VertexAdded { vertex, kind: "internal".to_owned(), title, inputs: Vec::new() });
        tell(Event::Started { vertex });
        let began = Instant::now();
        let lease = store.lease()?;
        let watch = Statuses { observer: &self.observer, vertex };
        let fetch = Fetch::new(&self.registry, store, unpack, &lease, &watch, &self.cancel);
        let fetched = fetch.run(wanted);
        tell(match &fetched {
            Ok(_) => Event::Done { vertex, took: began.elapsed() },
            Err(TransferError::Canceled) => Event::Canceled { vertex },
            Err(error) => {
                Event::Failed { vertex, messages: vec![error.to_string()], exit_code: None }
            }
        });
        fetched.map(drop).map_err(|error| match (error, fetch.failed()) {
            // A full disk, say, which is no fault of the registry.
            (TransferError::Store(error), _) => error,
            (error, Some((digest, image))) => {
                StoreError::Fetch { digest, image, source: Box::new(error) }
            }
            (error, None) => StoreError::io("fetch layers", io::Error::other(error)),
        })
    }
}

fn wanted(layer: &Layer) -> Option<Wanted> {
    let place = |form: &RemoteForm| Some((form.image.parse().ok()?, form.blob.clone()));
    let places: Vec<_> = layer.forms.remote.iter().filter_map(place).collect();
    let diff_id = layer.diff_id(None)?;
    (!places.is_empty()).then_some(Wanted { diff_id, places })
}

/// Tells of layers as BuildKit does: by digest, how much of how much.
struct Statuses<'a> {
    observer: &'a Arc<dyn Observer>,
    vertex: VertexId,
}

impl Watch for Statuses<'_> {
    fn moment(&self, moment: Moment) {
        if let Moment::Progress { layer, current, total } = moment {
            let (vertex, name) = (self.vertex, layer.to_string());
            self.observer.event(Event::Status { vertex, name, current, total: Some(total) });
        }
    }
}

/// Reaches registries for a handle of the store ([`Store::with_fetcher`]).
#[derive(Debug)]
pub struct Fetcher {
    registry: Arc<Registry>,
    cancel: CancelToken,
}

impl Fetcher {
    /// Will fetch until `cancel` says to stop. Nothing is opened before it is needed.
    #[must_use]
    pub fn new(registry: Arc<Registry>, cancel: CancelToken) -> Self {
        Self { registry, cancel }
    }
}

impl gantry_cache::Fetch for Fetcher {
    fn open(&self, form: &RemoteForm) -> Result<Box<dyn Read + Send>, FetchError> {
        let reference: Reference = form.image.parse()?;
        let stream = self.registry.blob(&reference, &form.blob, &self.cancel)?;
        Ok(Box::new(stream.explained()))
    }
}
