//! [`Stack`]: the layers of a snapshot as one tree that can be asked without a mount.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_cache::{LayerId, Store, StoreError};
use gantry_image::layer::UnpackOptions;
use gantry_solver::{LayerRef, Snapshot};
use gantry_tree::{Manifest, Root, View};

use super::fault::Fault;

/// The manifests of a snapshot's layers, lowest first, kept together with their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack {
    ids: Vec<LayerId>,
    manifests: Vec<Arc<Manifest>>,
}

impl Stack {
    /// Reads the manifests of all layers; a layer that is known as a blob only is indexed.
    pub(crate) fn open(store: &Store, snapshot: &Snapshot) -> Result<Self, StoreError> {
        let ids: Vec<LayerId> = snapshot.layers().iter().map(layer_id).collect();
        let manifests =
            ids.iter().map(|id| store.layers().ensure_manifest(id)).collect::<Result<_, _>>()?;
        Ok(Self { ids, manifests })
    }

    /// Returns how many layers there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Shows the layers merged.
    pub(crate) fn view(&self) -> View<'_> {
        let manifests: Vec<&Manifest> = self.manifests.iter().map(|manifest| &**manifest).collect();
        View::new(&manifests)
    }

    /// Returns the name of one layer.
    pub(crate) fn id(&self, index: usize) -> &LayerId {
        &self.ids[index]
    }

    /// Returns the manifest of one layer.
    pub(crate) fn manifest(&self, index: usize) -> &Arc<Manifest> {
        &self.manifests[index]
    }

    /// Opens the tree of one layer, which is unpacked if nobody did so before.
    pub(crate) fn root(
        &self,
        index: usize,
        store: &Store,
        unpack: &UnpackOptions,
    ) -> Result<Root, Fault> {
        let path = tree(store, &self.ids[index], unpack)?;
        Ok(Root::open(path)?)
    }
}

/// Returns the directory of a layer, which is unpacked if nobody did so before.
pub(crate) fn tree(
    store: &Store,
    id: &LayerId,
    unpack: &UnpackOptions,
) -> Result<PathBuf, StoreError> {
    if let Some(tree) = store.layers().require(id)?.tree() {
        return Ok(tree);
    }
    let layer = store.layers().ensure_tree(id, unpack)?;
    layer.tree().ok_or(StoreError::NoForm { layer: *id })
}

/// The solver's name for a layer is the store's.
pub(crate) fn layer_id(layer: &LayerRef) -> LayerId {
    LayerId(layer.0)
}

/// The store's name for a layer is the solver's.
pub(crate) fn layer_ref(id: &LayerId) -> LayerRef {
    LayerRef(id.0)
}
