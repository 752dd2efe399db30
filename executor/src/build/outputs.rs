//! The end of a build: the image put together, the outputs written, the names given.

use std::path::PathBuf;
use std::time::Instant;

use gantry_image::{Digest, Reference};
use gantry_solver::{Op, Snapshot};

use super::events::Progress;
use super::{Build, Ready};
use crate::error::BuildError;
use crate::export::{self, Assembled, Built, Recipe, find_or_make};
use crate::history::micros;
use crate::outcome::{BuildOutcome, BuiltImage, Stats};
use crate::request::Output;
use crate::work::layer_id;

impl Build<'_> {
    /// Makes the image if an output wants one, and writes the outputs.
    pub(super) fn export(&mut self, ready: &Ready) -> Result<BuildOutcome, BuildError> {
        let outputs = std::mem::take(&mut self.request.outputs);
        let reads = outputs.iter().any(|output| !matches!(output, Output::Store));
        if self.unprivileged && reads {
            // Files of the layers belong to users that only a user namespace knows.
            return Err(BuildError::NeedsUserNamespace);
        }
        let progress = Progress::begin(&self.observer, &outputs);
        let snapshot = ready.solved.snapshot(ready.target).cloned().unwrap_or_default();
        let waited = Instant::now();
        self.executor.wait_for_diffs();
        let hashing = micros(waited.elapsed());
        let exported_from = Instant::now();
        let image = match outputs.iter().any(export::needs_image) {
            true => Some(self.assemble(ready, &snapshot)?),
            false => None,
        };
        let names = &self.request.tags;
        let stored = outputs.iter().any(|output| matches!(output, Output::Store));
        let built =
            Built { snapshot: &snapshot, image: image.as_ref(), names, clamp: ready.lowered.epoch };
        let mut exported: Vec<PathBuf> = Vec::new();
        for output in outputs {
            if self.cancel.is_canceled() {
                return Err(BuildError::Canceled);
            }
            exported.extend(export::write(&self.executor, output, &built)?);
        }
        // Names come last: they must not point at an image whose build failed after all.
        let tags: Vec<Reference> = if stored { names.clone() } else { Vec::new() };
        if let Some(image) = &image {
            self.name(image, &tags)?;
        }
        progress.done();
        let exporting = micros(exported_from.elapsed());
        self.observer.recorder.describe(|record| {
            (record.hashing_us, record.exporting_us) = (hashing, exporting);
        });
        Ok(BuildOutcome {
            image: image.map(|image| BuiltImage {
                id: image.id(),
                manifest: image.manifest.digest(),
                platform: ready.lowered.platform.clone(),
                reused: image.reused,
            }),
            tags,
            exported,
            dockerfile: self.dockerfile.clone(),
            warnings: std::mem::take(&mut self.warnings),
            stats: Stats::default(),
            past: None,
        })
    }

    /// Gives the image its names; a rebuild, whose image has them, writes nothing.
    fn name(&self, image: &Assembled, tags: &[Reference]) -> Result<(), BuildError> {
        let images = self.store.images();
        let known = images.get(&image.id())?.map(|image| image.names).unwrap_or_default();
        for name in tags {
            if !known.contains(&name.clone().with_default_tag()) {
                images.tag(name, &image.id())?;
            }
        }
        Ok(())
    }

    fn assemble(&self, ready: &Ready, snapshot: &Snapshot) -> Result<Assembled, BuildError> {
        let lowered = &ready.lowered;
        let recipe = Recipe {
            config: &lowered.config,
            history: &lowered.history,
            layers: snapshot.layers().iter().map(layer_id).collect(),
            base: ready.base_image(),
            platform: &lowered.platform,
            epoch: lowered.epoch,
        };
        if self.unprivileged && !recipe.is_ready(self.store)? {
            return Err(BuildError::NeedsUserNamespace);
        }
        Ok(find_or_make(self.store, &recipe)?)
    }
}

impl Ready {
    /// The ID of the image that the target is built upon, if it is one.
    fn base_image(&self) -> Option<Digest> {
        let mut vertex = Some(self.target);
        while let Some(at) = vertex {
            if let Op::Image(op) = &self.graph.vertex(at).op {
                return op.config.parse().ok();
            }
            vertex = self.graph.base(at);
        }
        None
    }
}
