//! The end of a build: the image put together, the outputs written, the names given.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gantry_cache::Image;
use gantry_image::{Descriptor, Digest, Reference};
use gantry_solver::Snapshot;

use super::attestations::Form;
use super::events::{Held, Progress};
use super::{Build, Ready, Target};
use crate::attest::Attestor;
use crate::error::BuildError;
use crate::export::{self, Assembled, Assembly, Built, Recipe, Say};
use crate::history::micros;
use crate::outcome::{BuildOutcome, BuiltImage, Stats};
use crate::request::Output;
use crate::work::layer_id;

/// The images that were made, by how they were asked for.
type Made = Vec<(Form, Assembly)>;

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
        let reads = outputs.iter().any(|output| !matches!(output, Output::Store { .. }))
            || !self.request.cache_to.is_empty()
            || self.request.attestations.sbom.is_some();
        if self.unprivileged && reads {
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
        let mut made: Made = Vec::new();
        for form in outputs.iter().filter_map(|output| self.form(output)) {
            if !made.iter().any(|(known, _)| *known == form) {
                let image = self.assemble(ready, &snapshots, &form, &attestor)?;
                for attached in &image.attached {
                    let digest = attached.manifest.digest();
                    progress.end_part(&format!("exporting attestation manifest {digest}"));
                }
                made.push((form, image));
            }
        }
        progress.end_part("exporting layers");
        let names = self.request.tags.clone();
        let clamp = ready.targets.first().and_then(|target| target.epoch);
        let platforms = ready.targets.iter().map(|target| &target.platform);
        let mut built = Built {
            platforms: platforms.zip(&snapshots).collect(),
            image: None,
            names: &names,
            clamp,
            said: None,
        };
        let said = |number: usize| attestor.predicates(number, None);
        if asked.is_required() {
            built.said = Some(&said);
        }
        let mut exported: Vec<PathBuf> = Vec::new();
        let mut tags: Vec<Reference> = Vec::new();
        let mut stored: Option<&Assembly> = None;
        let mut pushed: Option<Descriptor> = None;
        for output in outputs {
            if self.cancel.is_canceled() {
                return Err(BuildError::Canceled);
            }
            let wanted = self.form(&output);
            let image = made.iter().find(|(form, _)| Some(form) == wanted.as_ref());
            built.image = image.map(|(_, image)| image);
            if matches!(output, Output::Store { .. }) {
                stored = image.map(|(_, image)| image);
            }
            let tell = |name: &str, current, total| progress.part(name, current, total);
            if let Output::Registry { names, by_digest, .. } = &output {
                let names = if names.is_empty() { built.names } else { names };
                pushed = self.push(image.map(|(_, image)| image), names, *by_digest, &tell)?;
            }
            exported.extend(export::write(&self.executor, output, &built, &tell)?);
        }
        // Names come last: they must not point at an image whose build failed after all.
        if let Some(stored) = stored {
            let image = stored.named()?;
            progress.end_part(&format!("writing image {}", image.id()));
            tags.clone_from(&names);
            if let Some(prefix) = self.request.dangling_prefix.as_ref().filter(|_| tags.is_empty())
            {
                tags.push(prefix.with_digest(stored.descriptor()?.digest));
            }
            let mut all = tags.clone();
            if self.request.canonical_names {
                let digest = stored.descriptor()?.digest;
                let canonical: BTreeSet<_> =
                    tags.iter().map(|tag| tag.with_digest(digest)).collect();
                all.extend(canonical.into_iter().filter(|name| !tags.contains(name)));
            }
            let known = self.store.images().get(&image.id())?;
            let list = self.keep_list(stored, known.as_ref())?;
            self.name(image, known.as_ref(), &all, list.as_ref())?;
            for tag in &all {
                progress.end_part(&format!("naming to {}", tag.clone().with_default_tag()));
            }
        }
        let mut provenance = Vec::new();
        let of_image = made.first().map(|(_, made)| made);
        for (number, target) in ready.targets.iter().enumerate() {
            let image = of_image.and_then(|made| made.images.get(number));
            let told = attestor.told(number, image);
            provenance.extend(told.map(|told| (target.platform.clone(), told)));
        }
        progress.done();
        self.steps.adopt()?;
        self.export_caches(ready, made.first().map(|(_, made)| made))?;
        let exporting = micros(exported_from.elapsed());
        self.observer.recorder.describe(|record| {
            (record.hashing_us, record.exporting_us) = (hashing, exporting);
        });
        let mut image = match stored.or(made.first().map(|(_, made)| made)) {
            Some(made) => Some(described(made, ready)?),
            None => None,
        };
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

    /// The root filesystem of every platform's image.
    fn snapshots(&self, ready: &Ready) -> Result<Vec<Snapshot>, BuildError> {
        let solved = |target: &Target| {
            let snapshot = ready.solved.snapshot(target.vertex).cloned().unwrap_or_default();
            match self.request.squash {
                true => self.squashed(&snapshot, target.config.rootfs.diff_ids.len()),
                false => Ok(snapshot),
            }
        };
        ready.targets.iter().map(solved).collect()
    }

    /// Gives the image its names, or lets them stand for the index that is kept with it; a rebuild,
    /// which finds all of that as it is, writes nothing.
    fn name(
        &self,
        image: &Assembled,
        known: Option<&Image>,
        tags: &[Reference],
        list: Option<&Digest>,
    ) -> Result<(), BuildError> {
        for name in tags {
            let full = name.clone().with_default_tag();
            let same = |known: &Image| {
                known.names.contains(&full) && known.list_of(&full).as_ref() == list
            };
            if !known.is_some_and(same) {
                self.store.images().tag_list(name, &image.id(), list)?;
            }
        }
        Ok(())
    }

    fn assemble(
        &self,
        ready: &Ready,
        snapshots: &[Snapshot],
        form: &Form,
        attestor: &Attestor<'_>,
    ) -> Result<Assembly, BuildError> {
        let configs: Vec<_> = ready
            .targets
            .iter()
            .zip(snapshots)
            .map(|(target, snapshot)| {
                let mut config = target.config.clone();
                self.request.changes.apply(&mut config);
                self.add_inline_cache(ready, target, snapshot, &mut config)?;
                Ok(config)
            })
            .collect::<Result<_, BuildError>>()?;
        let mut recipes = Vec::new();
        for ((target, snapshot), config) in ready.targets.iter().zip(snapshots).zip(&configs) {
            let recipe = Recipe {
                config,
                history: &target.history,
                layers: snapshot.layers().iter().map(layer_id).collect(),
                base: ready.base_image(target.vertex),
                said: match self.request.base_annotations {
                    true => ready.base_annotations(&self.executor, target.vertex),
                    false => Vec::new(),
                },
                platform: &target.platform,
                epoch: target.epoch,
                squashed: self.request.squash
                    && target.history.iter().any(|item| item.vertex.is_some()),
                options: &form.image,
            };
            if self.unprivileged && !recipe.is_ready(self.store)? {
                return Err(BuildError::NeedsUserNamespace);
            }
            recipes.push(recipe);
        }
        let indexed = self.request.platforms.len() > 1;
        let about = |number: usize, image: &Assembled| {
            let mut said = attestor.predicates(number, Some(image));
            said.retain(|predicate| form.inline || !predicate.inline_only);
            said
        };
        let say = match &form.names {
            Some(names) => Say { names, about: Some(&about) },
            None => Say { names: &[], about: None },
        };
        Ok(Assembly::make(self.store, &recipes, indexed, &form.options, &say)?)
    }
}

fn described(made: &Assembly, ready: &Ready) -> Result<BuiltImage, BuildError> {
    let first = made.first()?;
    let descriptor = made.descriptor()?;
    let platform = ready.targets.first().map(|target| target.platform.clone());
    Ok(BuiltImage {
        id: made.id()?,
        stored: made.named()?.id(),
        manifest: descriptor.digest,
        descriptor,
        is_index: made.index.is_some(),
        platform: platform.unwrap_or_else(|| first.config.platform()),
        reused: made.images.iter().all(|image| image.reused),
    })
}
