//! The end of a build: the outputs written, and what is told of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gantry_image::{Descriptor, Platform, Reference};
use gantry_solver::Snapshot;

use super::events::{Held, Progress};
use super::images::{Made, described};
use super::{Build, Ready};
use crate::attest::Attestor;
use crate::error::BuildError;
use crate::export::{self, Assembly, Built};
use crate::history::micros;
use crate::outcome::{BuildOutcome, Stats};
use crate::request::Output;

/// What became of the outputs.
#[derive(Default)]
struct Written {
    /// Where the files are.
    exported: Vec<PathBuf>,
    /// What a registry has now.
    pushed: Option<Descriptor>,
}

impl Build<'_> {
    /// Makes the image if an output wants one, and writes the outputs.
    pub(super) fn export(&mut self, ready: &Ready) -> Result<BuildOutcome, BuildError> {
        let observer = Arc::clone(&self.observer);
        let mut progress = None;
        let exported = self.write(ready, &observer, &mut progress);
        match (&exported, progress) {
            (Err(error), Some(progress)) if !error.is_interruption() => progress.failed(error),
            _ => {}
        }
        exported
    }

    fn write<'o>(
        &mut self,
        ready: &Ready,
        observer: &'o Held,
        told: &mut Option<Progress<'o>>,
    ) -> Result<BuildOutcome, BuildError> {
        let outputs = std::mem::take(&mut self.request.outputs);
        if self.unprivileged && self.reads_layers(&outputs) {
            // Files of the layers belong to users that only a user namespace knows.
            return Err(BuildError::NeedsUserNamespace);
        }
        let progress = told.insert(Progress::begin(observer, &outputs));
        if !outputs.is_empty() {
            self.fetch(ready, !outputs.iter().all(Output::may_be_thin))?;
        }
        let snapshots = self.snapshots(ready)?;
        progress.begin_part("exporting layers");
        let waited = Instant::now();
        self.executor.wait_for_diffs();
        let hashing = micros(waited.elapsed());
        let exported_from = Instant::now();
        let asked = self.request.attestations.clone();
        let attestor = self.attestor(ready, &asked)?;
        let made = self.make_images(ready, &snapshots, &outputs, &attestor, progress)?;
        progress.end_part("exporting layers");
        let stored = outputs.iter().rfind(|output| matches!(output, Output::Store { .. }));
        let stored = stored.and_then(|output| made.of(self.form(output).as_ref()));
        let Written { exported, pushed } =
            self.write_outputs(outputs, ready, &snapshots, &made, &attestor, progress)?;
        // Names come last: they must not point at an image whose build failed after all.
        let tags = match stored {
            Some(stored) => self.name(stored, progress)?,
            None => Vec::new(),
        };
        let provenance = provenance(ready, made.first(), &attestor);
        progress.done();
        self.steps.adopt()?;
        self.export_caches(ready, made.first())?;
        let exporting = micros(exported_from.elapsed());
        self.observer.recorder.describe(|record| {
            (record.hashing_us, record.exporting_us) = (hashing, exporting);
        });
        let image = stored.or(made.first()).map(|image| described(image, ready));
        let mut image = image.transpose()?;
        if let (Some(image), Some(pushed)) = (&mut image, pushed) {
            // Whoever asks for the digest wants to pull it.
            (image.manifest, image.descriptor) = (pushed.digest, pushed);
        }
        Ok(BuildOutcome {
            image,
            tags,
            exported,
            dockerfile: self.dockerfile.clone(),
            warnings: std::mem::take(&mut self.warnings),
            provenance,
            stats: Stats::default(),
            past: None,
        })
    }

    /// Whether more is done with the layers than to put them into the store's image.
    fn reads_layers(&self, outputs: &[Output]) -> bool {
        outputs.iter().any(|output| !matches!(output, Output::Store { .. }))
            || !self.request.cache_to.is_empty()
            || self.request.attestations.sbom.is_some()
    }

    /// Writes the outputs, each with the image that was made for it.
    fn write_outputs(
        &self,
        outputs: Vec<Output>,
        ready: &Ready,
        snapshots: &[Snapshot],
        made: &Made,
        attestor: &Attestor<'_>,
        progress: &Progress<'_>,
    ) -> Result<Written, BuildError> {
        let platforms = ready.targets.iter().map(|target| &target.platform);
        let said = |number: usize| attestor.predicates(number, None);
        let mut built = Built {
            platforms: platforms.zip(snapshots).collect(),
            image: None,
            names: &self.request.tags,
            clamp: ready.targets.first().and_then(|target| target.epoch),
            said: match self.request.attestations.is_required() {
                true => Some(&said),
                false => None,
            },
        };
        let tell = |name: &str, current, total| progress.part(name, current, total);
        let mut written = Written::default();
        for output in outputs {
            if self.cancel.is_canceled() {
                return Err(BuildError::Canceled);
            }
            built.image = made.of(self.form(&output).as_ref());
            if let Output::Registry { names, by_digest, .. } = &output {
                let names = if names.is_empty() { built.names } else { names };
                written.pushed = self.push(built.image, names, *by_digest, &tell)?;
            }
            written.exported.extend(export::write(&self.executor, output, &built, &tell)?);
        }
        Ok(written)
    }

    /// Pushes an image, if there is a registry to push it to.
    fn push(
        &self,
        image: Option<&Assembly>,
        names: &[Reference],
        by_digest: bool,
        tell: export::Tell<'_>,
    ) -> Result<Option<Descriptor>, BuildError> {
        let (Some(registry), Some(image)) = (&self.request.registry, image) else {
            return Err(BuildError::Unsupported {
                what: "There is no registry to push to".to_owned(),
                hint: None,
            });
        };
        Ok(export::push(registry, self.store, image, names, by_digest, tell, self.cancel)?)
    }
}

/// What is said about how each platform's image was built.
fn provenance(
    ready: &Ready,
    made: Option<&Assembly>,
    attestor: &Attestor<'_>,
) -> Vec<(Platform, serde_json::Value)> {
    let mut provenance = Vec::new();
    for (number, target) in ready.targets.iter().enumerate() {
        let image = made.and_then(|made| made.images.get(number));
        let told = attestor.told(number, image);
        provenance.extend(told.map(|told| (target.platform.clone(), told)));
    }
    provenance
}
