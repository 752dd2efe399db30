//! `--squash`: the layers of a build made one, on top of the base image's, which stay (C1-29, F21).
//!
//! The one layer holds what differs between the base's root filesystem and the result's: what a
//! step wrote and a later one removed is in no layer of the image.

use gantry_cache::{Key, LayerId, NewRecord};
use gantry_solver::Snapshot;

use super::Build;
use crate::error::BuildError;
use crate::work::{layer_id, layer_ref, squash};

impl Build<'_> {
    /// Returns the snapshot with everything above its first `base` layers made one.
    ///
    /// Remembered under the layers that it is made of, so that a rebuild does nothing.
    pub(super) fn squashed(
        &self,
        snapshot: &Snapshot,
        base: usize,
    ) -> Result<Snapshot, BuildError> {
        let layers: Vec<LayerId> = snapshot.layers().iter().map(layer_id).collect();
        if layers.len() <= base + 1 {
            return Ok(snapshot.clone());
        }
        let key = key(&layers, base);
        let squashed = |layer: &LayerId| -> Snapshot {
            let below = snapshot.layers().into_iter().take(base);
            below.chain([layer_ref(layer)]).collect()
        };
        if let Some(record) = self.store.records().get(&key)?
            && let [layer] = record.layers.as_slice()
            && self.steps.keep(&[*layer])?
        {
            return Ok(squashed(layer));
        }
        if self.unprivileged {
            return Err(BuildError::NeedsUserNamespace);
        }
        let layer = squash(&self.executor, snapshot, base)
            .map_err(|error| BuildError::Squash(gantry_solver::StepError::from(error)))?;
        self.store.records().put(&NewRecord::of_no_step(key, &[layer], &[]))?;
        Ok(squashed(&layer))
    }
}

fn key(layers: &[LayerId], base: usize) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("gantry squash 1");
    hasher.update(&(base as u64).to_le_bytes());
    layers.iter().for_each(|layer| {
        hasher.update(&layer.0);
    });
    Key(*hasher.finalize().as_bytes())
}
