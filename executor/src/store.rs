//! The store as the solver wants it: records by key, leases on what was found, locks on keys.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_cache as cache;
use gantry_cache::{Lease, LogId, NewRecord, PlaceOfRun, RecordKind};
use gantry_solver::key::Key;
use gantry_solver::store::{Nearest, Packed, Place};
use gantry_solver::{Cached, Record, Store, StoreError, StoreLock};

use crate::work::{Executor, layer_id, layer_ref};

/// The build cache of one build.
pub(crate) struct StepStore {
    store: cache::Store,
    /// Nothing is kept from being pruned, as nothing will be built from it.
    only_looks: AtomicBool,
    /// What is built: earlier runs of its steps are looked for first.
    project: String,
    executor: Arc<Executor>,
    /// Keeps what was found until the build ends.
    lease: Mutex<Option<Arc<Lease>>>,
    found: Mutex<Vec<cache::Key>>,
    /// What steps printed that were found, by content key.
    logs: Mutex<HashMap<Key, LogId>>,
}

impl StepStore {
    pub(crate) fn new(executor: Arc<Executor>, project: String) -> Self {
        let store = executor.store.clone();
        let (lease, found, logs) = <(_, _, _)>::default();
        let only_looks = AtomicBool::new(false);
        Self { store, only_looks, project, executor, lease, found, logs }
    }

    /// From now on, nothing that is found is kept from being pruned.
    pub(crate) fn only_look(&self) {
        self.only_looks.store(true, Ordering::Relaxed);
    }

    /// Says whether this build is one that only looks.
    pub(crate) fn only_looks(&self) -> bool {
        self.only_looks.load(Ordering::Relaxed)
    }

    /// Returns what a step printed when it ran, if it was found.
    pub(crate) fn log_of(&self, content_key: &Key) -> Option<LogId> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).get(content_key).copied()
    }

    /// Notes that the records that were found are in use still.
    pub(crate) fn touch(&self) -> Result<(), cache::StoreError> {
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        if found.is_empty() { Ok(()) } else { self.store.records().touch(&found) }
    }

    /// Keeps layers as long as this build lives. Returns false if one is gone.
    pub(crate) fn keep(&self, layers: &[cache::LayerId]) -> Result<bool, cache::StoreError> {
        if layers.is_empty() || self.only_looks.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let lease = {
            let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
            match &*lease {
                Some(lease) => Arc::clone(lease),
                None => Arc::clone(lease.insert(Arc::new(self.store.lease()?))),
            }
        };
        Ok(lease.keep_layers(layers)?.is_empty())
    }

    fn find(&self, key: &Key) -> Result<Option<Cached>, cache::StoreError> {
        match self.find_here(key)? {
            Some(cached) => Ok(Some(cached)),
            None => {
                let Some(cached) = self.executor.imports.find(key, &self.store)? else {
                    return Ok(None);
                };
                // Of layers that are here those that are not pruned right now; others come later.
                let own: Vec<_> = cached.own.iter().map(layer_id).collect();
                self.keep(&own)?;
                Ok(Some(cached))
            }
        }
    }

    /// Remembers steps that other caches knew, as far as their layers are in the store by now.
    pub(crate) fn adopt(&self) -> Result<(), cache::StoreError> {
        for hit in self.executor.imports.hits() {
            let layers: Vec<_> = hit.cached.own.iter().map(layer_id).collect();
            let here = |id: &cache::LayerId| self.store.layers().get(id).map(|l| l.is_some());
            if !layers.iter().map(here).collect::<Result<Vec<_>, _>>()?.iter().all(|here| *here) {
                continue;
            }
            let content = cache::Key(hit.cached.content_key.0);
            let mut keys = vec![(hit.key, RecordKind::Recipe), (content, RecordKind::Content)];
            keys.dedup_by_key(|(key, _)| *key);
            for (key, kind) in keys {
                self.store.records().put(&NewRecord {
                    key,
                    kind,
                    layers: &layers,
                    preimage: None,
                    took: hit.cached.took,
                    log: None,
                    extra: &encode(&hit.cached),
                    project: &self.project,
                    stage: &hit.step.stage,
                    position: hit.step.position,
                    text: &hit.step.text,
                })?;
            }
        }
        Ok(())
    }

    fn find_here(&self, key: &Key) -> Result<Option<Cached>, cache::StoreError> {
        let key = cache::Key(key.0);
        let Some(record) = self.store.records().get(&key)? else { return Ok(None) };
        let Some((base, content_key)) = decode(&record.extra) else { return Ok(None) };
        if !self.keep(&record.layers)? {
            return Ok(None);
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        if let Some(log) = record.log {
            self.logs.lock().unwrap_or_else(PoisonError::into_inner).insert(content_key, log);
        }
        let own = record.layers.iter().map(layer_ref).collect();
        Ok(Some(Cached { own, base, content_key, took: record.took }))
    }

    fn write(&self, record: &Record) -> Result<(), cache::StoreError> {
        let cached = &record.cached;
        let layers: Vec<cache::LayerId> = cached.own.iter().map(layer_id).collect();
        record.keys.iter().enumerate().try_for_each(|(number, key)| {
            self.store.records().put(&NewRecord {
                key: cache::Key(key.0),
                kind: match *key == cached.content_key {
                    true => RecordKind::Content,
                    false => RecordKind::Recipe,
                },
                layers: &layers,
                preimage: (number == 0).then_some(&*record.preimage.0),
                took: cached.took,
                log: self.executor.log_of(record.vertex),
                extra: &encode(cached),
                project: &self.project,
                stage: &record.place.stage,
                position: record.place.position,
                text: &record.place.text,
            })
        })
    }
}

/// What of a record only the solver understands: a version, the base's digest, the content key.
fn encode(cached: &Cached) -> Vec<u8> {
    let mut bytes = vec![1, u8::from(cached.base.is_some())];
    bytes.extend(cached.base.unwrap_or_default());
    bytes.extend(cached.content_key.0);
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Option<(Option<[u8; 32]>, Key)> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let (base, rest) = rest.split_first_chunk::<32>()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let base = match head {
        [1, 0] => None,
        [1, 1] => Some(*base),
        _ => return None,
    };
    rest.is_empty().then_some((base, Key(*key)))
}

impl Store for StepStore {
    fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<Cached>>, StoreError> {
        keys.iter().map(|key| self.find(key).map_err(failed("look up a step"))).collect()
    }

    fn record(&self, record: Record) -> Result<(), StoreError> {
        self.write(&record).map_err(failed("record a step"))?;
        // What this step has made is kept; a budget is no reason for a step to fail.
        let _ = self.store.keep_to_budget();
        Ok(())
    }

    fn pack(&self, preimage: Vec<u8>) -> Result<Packed, StoreError> {
        cache::pack_preimage(&preimage).map(Packed).map_err(failed("pack what explains a step"))
    }

    fn also(&self, recipe_key: Key, found: &Cached, place: &Place) -> Result<(), StoreError> {
        if self.only_looks.load(Ordering::Relaxed) {
            return Ok(());
        }
        let layers: Vec<cache::LayerId> = found.own.iter().map(layer_id).collect();
        let put = self.store.records().put(&NewRecord {
            key: cache::Key(recipe_key.0),
            kind: RecordKind::Recipe,
            layers: &layers,
            preimage: None,
            took: found.took,
            log: self.log_of(&found.content_key),
            extra: &encode(found),
            project: &self.project,
            stage: &place.stage,
            position: place.position,
            text: &place.text,
        });
        put.map_err(failed("record a step"))
    }

    fn nearest(&self, place: &Place) -> Result<Option<Nearest>, StoreError> {
        let records = self.store.records();
        let find = || -> Result<Option<Nearest>, cache::StoreError> {
            let near = records.runs(&PlaceOfRun {
                project: &self.project,
                stage: &place.stage,
                position: place.position,
                text: &place.text,
            })?;
            let Some(run) = near.into_iter().next() else { return Ok(None) };
            let preimage = records.preimage(&run.key)?.map(Into::into);
            let (took, gone) = (run.took, run.gone);
            Ok(preimage.map(|preimage| Nearest { preimage, took, gone }))
        };
        find().map_err(failed("find earlier runs of a step"))
    }

    fn try_lock(&self, key: &Key) -> Result<Option<Box<dyn StoreLock>>, StoreError> {
        let guard = self.store.try_lock("step", &key.0).map_err(failed("lock a step"))?;
        Ok(guard.map(|guard| Box::new(guard) as Box<dyn StoreLock>))
    }
}

fn failed(what: &'static str) -> impl Fn(cache::StoreError) -> StoreError {
    move |error| {
        let source: Arc<dyn Error + Send + Sync> = Arc::new(error);
        StoreError { what, source }
    }
}
