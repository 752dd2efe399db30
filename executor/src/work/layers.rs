//! The layers that steps run on and take from: fetched, kept from being pruned, mounted; and those
//! that a step made earlier.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use gantry_cache::remote::RemoteError;
use gantry_cache::{Layer, LayerId, StoreError};
use gantry_sandbox::{Lower, MountedIndex};
use gantry_solver::{Snapshot, VertexId};
use gantry_tree::{Manifest, Root, TreePath};

use super::fault::Fault;
use super::stack::layer_id;
use super::{Executor, copy, stack};

/// How many indexes stay mounted at most: each takes a descriptor.
const MOST_MOUNTED: usize = 128;

impl Executor {
    /// Puts layers into the store that are known from a cache elsewhere only; with `lazy` those that
    /// a registry has stay there for now.
    pub(crate) fn know(&self, snapshot: &Snapshot, lazy: bool) -> Result<(), RemoteError> {
        self.imports.settle(&snapshot.layers(), &self.store, lazy && self.lazy.is_some())
    }

    /// Fetches layers whose bytes are in registries only.
    pub(crate) fn bring(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let mut absent = Vec::new();
        for id in snapshot.layers().iter().map(layer_id) {
            if self.here().contains(&id) {
                continue;
            }
            match self.store.layers().get(&id)? {
                Some(layer) if layer.is_remote_only() => absent.push(layer),
                Some(_) => drop(self.here().insert(id)),
                None => {}
            }
        }
        match &self.lazy {
            Some(lazy) if !absent.is_empty() => lazy.bring(&absent, &self.store, &self.unpack),
            // Where there is no registry, whoever reads such a layer is told so.
            _ => Ok(()),
        }
    }

    /// Layers of which something is known to be in the store.
    fn here(&self) -> MutexGuard<'_, HashSet<LayerId>> {
        self.shared.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches layers that are elsewhere, in caches or registries.
    pub(super) fn fetch(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        self.know(snapshot, false)?;
        Ok(self.bring(snapshot)?)
    }

    /// Keeps a layer as long as the build lives; false if it is gone.
    pub(super) fn keep(&self, layer: &LayerId) -> Result<bool, Fault> {
        if self.shared.lease.get().is_none() {
            // Of two, one is dropped again.
            let _ = self.shared.lease.set(self.store.lease()?);
        }
        match self.shared.lease.get() {
            Some(lease) => Ok(lease.keep(layer)?),
            None => Ok(false),
        }
    }

    /// Returns how a layer is mounted, which this build keeps from being pruned.
    ///
    /// An index is mounted once a build: what one step has read of its files is in memory for the
    /// next.
    pub(super) fn lower(&self, id: &LayerId) -> Result<Lower, Fault> {
        let lowers = || self.shared.lowers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lower) = lowers().get(id) {
            return Ok(lower.clone());
        }
        let mut lower = stack::lower(self, id)?;
        let mounted = lowers().values().filter(|lower| matches!(lower, Lower::Mounted(_))).count();
        if let (Lower::Index { tar, index }, true) = (&lower, mounted < MOST_MOUNTED) {
            lower = Lower::Mounted(Arc::new(MountedIndex::new(tar.clone(), index.clone())?));
        }
        // Of two, one is dropped again.
        Ok(lowers().entry(*id).or_insert(lower).clone())
    }

    /// Returns a layer that holds the places of what is mounted into every step, and nothing else.
    ///
    /// Below all others it hides nothing, and a step need not make these places in its own layer
    /// and take them away again.
    pub(super) fn mount_points(&self) -> Result<PathBuf, Fault> {
        if let Some(made) = self.shared.mount_points.get() {
            return Ok(made.upper());
        }
        let work = self.store.bare_work_dir()?;
        let root = Root::open(work.upper())?;
        for dir in ["dev", "etc", "proc", "sys"] {
            root.mkdir(&TreePath::new(dir).unwrap_or_default(), 0o755)?;
        }
        for file in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
            root.create_file(&TreePath::new(file).unwrap_or_default(), 0o644)?;
        }
        // Of two, one is dropped again.
        Ok(self.shared.mount_points.get_or_init(|| work).upper())
    }

    /// Finds the layer that this step made last time, whose files may be linked from.
    ///
    /// Only one of the same text, so that its files lie where the new ones will, and never one of
    /// the chain that is built upon: two paths of one root filesystem must not share an inode.
    pub(super) fn donor(
        &self,
        vertex: VertexId,
        base: &Snapshot,
    ) -> Result<Option<(Root, Arc<Manifest>)>, Fault> {
        for layer in self.earlier(vertex)? {
            let chained = base.layers().iter().any(|other| layer_id(other) == layer.id);
            if let Some(tree) = layer.tree().filter(|_| !chained) {
                return Ok(Some((Root::open(tree)?, layer.manifest()?)));
            }
        }
        Ok(None)
    }

    /// Finds the tar that this step made last time, whose bytes may be taken over.
    pub(super) fn earlier_tar(
        &self,
        vertex: VertexId,
    ) -> Result<Option<(File, Arc<Manifest>)>, Fault> {
        for layer in self.earlier(vertex)? {
            if let Some(tar) = layer.tar().filter(|_| !layer.imported) {
                // Kept first: it may be pruned the moment after.
                if self.keep(&layer.id)? {
                    let tar = copy::open_tar(tar).map_err(Fault::io("open a layer's tar"))?;
                    return Ok(Some((tar, layer.manifest()?)));
                }
            }
        }
        Ok(None)
    }

    /// Lists the layers that earlier runs of a step made, those of the same text only.
    fn earlier(&self, vertex: VertexId) -> Result<Vec<Layer>, Fault> {
        let Some(graph) = self.shared.graph.get() else { return Ok(Vec::new()) };
        let place = &graph.vertex(vertex).place;
        let mut layers = Vec::new();
        for record in self.store.records().nearest(&place.stage, place.position, &place.text)? {
            if let ([id], true) = (record.layers.as_slice(), *record.text == *place.text) {
                layers.extend(self.store.layers().get(id)?);
            }
        }
        Ok(layers)
    }
}
