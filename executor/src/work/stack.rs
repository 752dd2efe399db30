//! [`Stack`]: the layers of a snapshot as one tree that can be asked without a mount.

use std::os::fd::AsFd;
use std::sync::Arc;

use gantry_cache::{LayerId, Store, StoreError};
use gantry_sandbox::{Lower, MountedIndex, mount_index};
use gantry_solver::{LayerRef, Snapshot};
use gantry_tree::{Manifest, Root, View};

use super::Executor;
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

    /// Opens the files of one layer.
    pub(crate) fn root(&self, index: usize, executor: &Executor) -> Result<Root, Fault> {
        open(executor, &self.ids[index])
    }
}

/// Opens the files of a layer.
pub(crate) fn open(executor: &Executor, id: &LayerId) -> Result<Root, Fault> {
    Ok(match executor.lower(id)? {
        Lower::Tree(tree) => Root::open(tree)?,
        Lower::Index { tar, index } => Root::from_fd(mount_index(&tar, &index)?),
        Lower::Mounted(mounted) => root_of(&mounted)?,
    })
}

/// Opens the files of a layer that is mounted.
pub(crate) fn root_of(mounted: &MountedIndex) -> Result<Root, Fault> {
    let root = mounted.as_fd().try_clone_to_owned();
    Ok(Root::from_fd(root.map_err(Fault::io("open a layer"))?))
}

/// Returns a layer in a form that shows its files: its directory if it has one, else its tar with an
/// index where that can be mounted. What it lacks for that is made.
pub(crate) fn lower(executor: &Executor, id: &LayerId) -> Result<Lower, Fault> {
    let layers = executor.store.layers();
    let mut layer = layers.require(id)?;
    if layer.tree().is_none() && executor.indexes()? {
        if layer.mountable().is_none() {
            layer = layers.ensure_mountable(id)?;
        }
        if let (None, Some((tar, index))) = (layer.tree(), layer.mountable()) {
            return Ok(Lower::Index { tar, index });
        }
    }
    if layer.tree().is_none() {
        layer = layers.ensure_tree(id, &executor.unpack)?;
    }
    layer.tree().map(Lower::Tree).ok_or_else(|| StoreError::NoForm { layer: *id }.into())
}

/// The solver's name for a layer is the store's.
pub(crate) fn layer_id(layer: &LayerRef) -> LayerId {
    LayerId(layer.0)
}

/// The store's name for a layer is the solver's.
pub(crate) fn layer_ref(id: &LayerId) -> LayerRef {
    LayerRef(id.0)
}
