//! Layers: one id, one manifest, one diff ID, and the forms they are there in.
//!
//! Owns `layers/`. A form, once there, is never written again; it goes by pruning alone, and only
//! while another form can bring it back, or with the whole layer.

mod commit;
mod convert;
mod forms;
mod index;
mod insert;
mod layer;
mod remote;
mod rows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use gantry_image::{DiffId, Digest};
use gantry_tree::Manifest;

use crate::db::locked;
use crate::store::Inner;
use crate::{LayerId, StoreError};

pub use forms::{BlobForm, Forms};
pub use layer::Layer;
pub use remote::{Fetch, FetchError, RemoteForm};
pub(crate) use rows::{drop_formless, forget, ids_from_bytes, ids_to_bytes, strip};

/// The layers of a store.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'s> {
    pub(crate) inner: &'s Arc<Inner>,
    pub(crate) fetcher: Option<&'s dyn Fetch>,
}

impl Layers<'_> {
    /// Looks a layer up. It may be pruned the moment after, unless a [`Lease`](crate::Lease) keeps
    /// it: keep it first, then look.
    ///
    /// # Errors
    /// When the database can't be read; a layer that isn't there is `None`.
    pub fn get(&self, id: &LayerId) -> Result<Option<Layer>, StoreError> {
        let facts = self.inner.db.read(|connection| rows::read(connection, id))?;
        Ok(facts.map(|facts| Layer::new(Arc::clone(self.inner), *id, facts)))
    }

    /// Like [`get`](Self::get), for callers that can't go on without it.
    ///
    /// # Errors
    /// [`StoreError::LayerGone`] if it isn't there.
    pub fn require(&self, id: &LayerId) -> Result<Layer, StoreError> {
        self.get(id)?.ok_or(StoreError::LayerGone { layer: *id })
    }

    /// Finds the layer that has this diff ID: an imported one, or one that was made here.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn by_diff_id(&self, diff_id: &DiffId) -> Result<Option<Layer>, StoreError> {
        let imported = LayerId::from_diff_id(diff_id);
        let text = diff_id.0.to_string();
        let id = self.inner.db.read(|connection| rows::by_diff_id(connection, &imported, &text))?;
        id.map_or(Ok(None), |id| self.get(&id))
    }

    /// Notes that these layers were used just now, which puts them to the end of pruning's list.
    ///
    /// Exact to a minute, so that a build in which nothing happens writes nothing.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn touch(&self, ids: &[LayerId]) -> Result<(), StoreError> {
        const GRAIN: i64 = 60_000;
        let now = self.inner.now();
        let stale = self.inner.db.read(|connection| {
            let mut statement =
                connection.prepare_cached("select 1 from layers where id = ?1 and used < ?2")?;
            let mut any = false;
            for id in ids {
                any |= statement.exists((id, now - GRAIN))?;
            }
            Ok(any)
        })?;
        if !stale {
            return Ok(());
        }
        self.inner.db.write(|tx| {
            let mut statement = tx.prepare_cached("update layers set used = ?2 where id = ?1")?;
            for id in ids {
                statement.execute((id, now))?;
            }
            Ok(())
        })
    }

    /// Lists all layers.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn list(&self) -> Result<Vec<LayerId>, StoreError> {
        self.inner.db.read(|connection| {
            let mut statement = connection.prepare_cached("select id from layers")?;
            statement.query_map((), |row| row.get(0))?.collect()
        })
    }
}

/// Manifests that somebody in this process still uses, decoded once.
#[derive(Debug, Default)]
pub(crate) struct ManifestCache(Mutex<HashMap<LayerId, Weak<Manifest>>>);

impl ManifestCache {
    pub(crate) fn get(&self, id: &LayerId) -> Option<Arc<Manifest>> {
        locked(&self.0).get(id).and_then(Weak::upgrade)
    }

    pub(crate) fn put(&self, id: &LayerId, manifest: &Arc<Manifest>) {
        let mut cache = locked(&self.0);
        if cache.len() % 64 == 63 {
            cache.retain(|_, manifest| manifest.strong_count() > 0);
        }
        cache.insert(*id, Arc::downgrade(manifest));
    }
}

/// The text by which a blob is known in the database.
pub(crate) fn blob_key(digest: &Digest) -> String {
    digest.to_string()
}
