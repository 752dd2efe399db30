//! What a build knows, written for other stores: its steps by key, and the layers that they gave.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_cache::remote::{
    CREATED, CacheWriter, RemoteCache, RemoteError, Step, StepFacts, UNCOMPRESSED, Written,
};
use gantry_cache::{Key, Layer, LayerId, Record, Store, StoreError};
use gantry_image::{DateTime, Descriptor, Digest};
use gantry_solver::key::Key as StepKey;
use gantry_solver::{CancelToken, Graph, LayerRef, Snapshot, Solved, VertexId};

use super::{CacheMode, CacheTarget, Places};
use crate::export::{Assembly, ExportError, ImageLayer, came_as, describe_layer, open_layer};
use crate::store::decode;
use crate::work::{Executor, layer_id, layer_ref};

/// Knows all that is to be known of the steps of a build.
pub(crate) struct Exporter<'a> {
    executor: &'a Executor,
    graph: &'a Graph,
    solved: &'a Solved,
    targets: &'a [VertexId],
    epoch: Option<i64>,
    places: &'a Places<'a>,
    /// Layers as they are in the image.
    image: HashMap<LayerId, ImageLayer>,
}

/// What is remembered of a step: the store's record of it, or another cache's.
pub(super) struct Known {
    pub(super) own: Vec<LayerRef>,
    pub(super) base: Option<[u8; 32]>,
    pub(super) content_key: StepKey,
    took: Duration,
    created: Option<SystemTime>,
}

/// A layer to be written, and where its bytes are.
enum Source {
    Here(ImageLayer),
    Elsewhere,
}

impl<'a> Exporter<'a> {
    pub(crate) fn new(
        executor: &'a Executor,
        graph: &'a Graph,
        solved: &'a Solved,
        targets: &'a [VertexId],
        epoch: Option<i64>,
        places: &'a Places<'a>,
    ) -> Self {
        Self { executor, graph, solved, targets, epoch, places, image: HashMap::new() }
    }

    /// Takes layers as they are in an image, with the times that they have there.
    pub(crate) fn with_image(mut self, image: &Assembly) -> Self {
        let layers = image.images.iter().flat_map(|image| &image.layers);
        self.image.extend(layers.map(|layer| (layer.id, *layer)));
        self
    }

    /// Writes the cache: layers first, then the document, then the manifest.
    ///
    /// # Errors
    /// A layer can't be read or compressed, or the other side can't be written.
    pub(crate) fn write(
        &self,
        target: &CacheTarget,
        cancel: &CancelToken,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<(), ExportError> {
        let cache = target.place.open(target.reset, self.places);
        let mut sources = HashMap::new();
        let mut described = HashMap::new();
        let mut describe = |id: &LayerId| -> Result<Descriptor, ExportError> {
            if let Some(known) = described.get(id) {
                return Ok(Descriptor::clone(known));
            }
            let (descriptor, source) = self.describe(id, target)?;
            sources.insert(descriptor.digest, source);
            described.insert(*id, descriptor.clone());
            Ok(descriptor)
        };
        let writer = self.steps(target.mode, self.targets, &mut describe)?;
        let written = writer.finish(target.form);
        self.write_layers(&*cache, &written, &sources, cancel, tell)?;
        if cancel.is_canceled() {
            return Ok(());
        }
        if let Some((config, bytes)) = &written.config {
            tell(&format!("writing config {}", config.digest));
            if !cache.keep(std::slice::from_ref(config))?.is_empty() {
                cache.write(config, &mut &**bytes)?;
            }
            tell("writing cache image manifest");
        }
        cache.commit(&written.manifest, &written.media_type)?;
        Ok(())
    }

    /// Writes the layers that are not there yet, as many at once as the other side takes.
    fn write_layers(
        &self,
        cache: &dyn RemoteCache,
        written: &Written,
        sources: &HashMap<Digest, Source>,
        cancel: &CancelToken,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<(), ExportError> {
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
        let one = |layer: &Descriptor| -> Result<(), ExportError> {
            if cache.keep(std::slice::from_ref(layer))?.is_empty() {
                return Ok(());
            }
            tell(&format!("writing layer {}", layer.digest));
            let source = sources.get(&layer.digest);
            for image in self.images_with(layer, source)? {
                if cache.take(layer, &image)? {
                    return Ok(());
                }
            }
            let mut reader: Box<dyn Read> = match source {
                Some(Source::Here(here)) => open_layer(&self.executor.store, here, layer)
                    .map_err(ExportError::io("read a layer"))?,
                Some(Source::Elsewhere) | None => match self.executor.imports.read(layer) {
                    Some(reader) => reader?,
                    None => return Ok(()),
                },
            };
            Ok(cache.write(layer, &mut reader)?)
        };
        let failure = || failed.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while let Some(layer) = written.layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                if cancel.is_canceled() || failure().is_some() {
                    return;
                }
                if let Err(error) = one(layer) {
                    failure().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..cache.writers().min(written.layers.len()) {
                scope.spawn(work);
            }
            work();
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(()), Err)
    }

    /// The images that have a layer's blob in a registry, which may give it to another repository.
    fn images_with(
        &self,
        layer: &Descriptor,
        source: Option<&Source>,
    ) -> Result<Vec<String>, ExportError> {
        let Some(Source::Here(here)) = source else {
            return Ok(self.executor.imports.image_of(layer).into_iter().collect());
        };
        let known = self.executor.store.layers().require(&here.id)?;
        let same = known.forms.remote.into_iter().filter(|form| form.blob.digest == layer.digest);
        Ok(same.map(|form| form.image).collect())
    }

    /// Gathers the steps, with results where the mode wants them.
    pub(super) fn steps(
        &self,
        mode: CacheMode,
        targets: &[VertexId],
        describe: &mut dyn FnMut(&LayerId) -> Result<Descriptor, ExportError>,
    ) -> Result<CacheWriter, ExportError> {
        let mut writer = CacheWriter::default();
        let mut snapshots: HashMap<VertexId, Snapshot> = HashMap::new();
        let mut wanted: Vec<VertexId> = Vec::new();
        for &target in targets {
            let chain = std::iter::successors(Some(target), |at| self.graph.base(*at));
            wanted.extend(chain);
        }
        for vertex in self.graph.reachable(targets) {
            let Some(recipe) = self.solved.recipe_key(vertex) else { continue };
            let keyed = self.graph.inputs(vertex).into_iter();
            let inputs: Vec<Key> = keyed
                .filter_map(|(_, input)| Some(Key(self.solved.recipe_key(input)?.0)))
                .collect();
            let op = &self.graph.vertex(vertex).op;
            let known = match op.is_source() {
                true => None,
                false => self.known(recipe, self.solved.key(vertex))?,
            };
            let snapshot = match self.solved.snapshot(vertex) {
                Some(snapshot) => Some(snapshot.clone()),
                // Nobody asked for it in this build.
                None => known.as_ref().and_then(|known| {
                    let base = self.graph.base(vertex);
                    let base = base.map_or_else(
                        || Some(Snapshot::default()),
                        |base| snapshots.get(&base).cloned(),
                    )?;
                    let fits = known.base.is_none_or(|id| id == base.id());
                    fits.then(|| base.with(&known.own))
                }),
            };
            if let (None, gantry_solver::Op::Image(image)) = (&snapshot, op) {
                snapshots.insert(vertex, image.layers.iter().copied().collect());
            }
            if let Some(snapshot) = &snapshot {
                snapshots.insert(vertex, snapshot.clone());
            }
            let result = match (mode, &known) {
                (_, None) => None,
                (CacheMode::Min, _) if !wanted.contains(&vertex) => None,
                _ => snapshot,
            };
            let layers = result.as_ref().map(|snapshot| {
                let layers = snapshot.layers();
                let ids = layers.iter().map(layer_id);
                ids.map(|id| describe(&id)).collect::<Result<Vec<_>, _>>()
            });
            let layers = layers.transpose()?;
            let mut keys = vec![Key(recipe.0)];
            keys.extend(known.as_ref().map(|known| Key(known.content_key.0)));
            keys.dedup();
            writer.add(&Step {
                keys: &keys,
                inputs: &inputs,
                result: layers.as_deref(),
                created: known.as_ref().and_then(|known| self.time(known.created)),
                facts: known.as_ref().map(|known| self.facts(vertex, known)),
            });
        }
        Ok(writer)
    }

    fn facts(&self, vertex: VertexId, known: &Known) -> StepFacts {
        let place = &self.graph.vertex(vertex).place;
        // How long it took differs from run to run, and so must not count where time is pinned.
        let took = known.took.as_millis().try_into().unwrap_or(u64::MAX);
        StepFacts {
            own: known.own.len(),
            content_key: Key(known.content_key.0).to_string(),
            any_base: known.base.is_none(),
            took: if self.epoch.is_some() { 0 } else { took },
            text: place.text.to_string(),
            stage: place.stage.to_string(),
            position: place.position,
        }
    }

    fn time(&self, at: Option<SystemTime>) -> Option<DateTime> {
        if let Some(epoch) = self.epoch {
            return Some(DateTime::from_unix(epoch, 0));
        }
        let since = at?.duration_since(UNIX_EPOCH).ok()?;
        let seconds = i64::try_from(since.as_secs()).ok()?;
        Some(DateTime::from_unix(seconds, since.subsec_nanos()))
    }

    /// What the store, or a cache that was asked, knows of a step.
    fn known(
        &self,
        recipe: StepKey,
        content: Option<StepKey>,
    ) -> Result<Option<Known>, ExportError> {
        for key in std::iter::once(recipe).chain(content) {
            if let Some(record) = self.executor.store.records().get(&Key(key.0))?
                && let Some(known) = of_record(&record)
            {
                return Ok(Some(known));
            }
            let hits = self.executor.imports.hits();
            if let Some(hit) = hits.into_iter().find(|hit| hit.key.0 == key.0) {
                let cached = hit.cached;
                return Ok(Some(Known {
                    own: cached.own,
                    base: cached.base,
                    content_key: cached.content_key,
                    took: cached.took,
                    created: None,
                }));
            }
        }
        Ok(None)
    }

    fn describe(
        &self,
        id: &LayerId,
        target: &CacheTarget,
    ) -> Result<(Descriptor, Source), ExportError> {
        if let Some(absent) = self.executor.imports.absent(id) {
            return Ok((absent.blob, Source::Elsewhere));
        }
        let store = &self.executor.store;
        let known = store.layers().require(id)?;
        let layer = match self.image.get(id) {
            Some(layer) => *layer,
            None => match came(store, &known)? {
                Some(layer) => layer,
                None => ImageLayer::own(store, *id, self.epoch)?,
            },
        };
        let descriptor = describe_layer(store, &layer, known.imported, &target.options)?;
        let descriptor = descriptor.annotate(UNCOMPRESSED, layer.diff_id.0.to_string());
        let descriptor = match self.time(Some(known.created)) {
            Some(time) => descriptor.annotate(CREATED, time.as_str()),
            None => descriptor,
        };
        Ok((descriptor, Source::Here(layer)))
    }
}

/// A layer of an image as it came, which is not read to be described.
fn came(store: &Store, layer: &Layer) -> Result<Option<ImageLayer>, StoreError> {
    let Some(diff_id) = layer.diff_id(None).filter(|_| layer.imported) else { return Ok(None) };
    let came = came_as(store, layer, &diff_id)?;
    Ok(came.map(|(_, _, size)| ImageLayer { id: layer.id, diff_id, size, clamp: None }))
}

fn of_record(record: &Record) -> Option<Known> {
    let (base, content_key) = decode(&record.extra)?;
    Some(Known {
        own: record.layers.iter().map(layer_ref).collect(),
        base,
        content_key,
        took: record.took,
        created: Some(record.created),
    })
}

impl From<RemoteError> for ExportError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Store(error) => error.into(),
            error => Self::Cache(error),
        }
    }
}
