//! The images of a build: what is made of each platform's layers, and how the outputs want it.

use gantry_image::ImageConfig;
use gantry_solver::Snapshot;

use super::attestations::Form;
use super::events::Progress;
use super::{Build, Ready, Target};
use crate::attest::Attestor;
use crate::error::BuildError;
use crate::export::{Assembled, Assembly, Recipe, Say};
use crate::outcome::BuiltImage;
use crate::request::Output;
use crate::work::layer_id;

/// The images that were made, by how they were asked for; outputs that ask alike share one.
#[derive(Default)]
pub(super) struct Made(Vec<(Form, Assembly)>);

impl Made {
    /// The image for an output that wants it so.
    pub(super) fn of(&self, form: Option<&Form>) -> Option<&Assembly> {
        self.0.iter().find(|(known, _)| Some(known) == form).map(|(_, image)| image)
    }

    /// The image of the first output that has one.
    pub(super) fn first(&self) -> Option<&Assembly> {
        self.0.first().map(|(_, image)| image)
    }
}

impl Build<'_> {
    /// Makes the images that `outputs` want.
    pub(super) fn make_images(
        &self,
        ready: &Ready,
        snapshots: &[Snapshot],
        outputs: &[Output],
        attestor: &Attestor<'_>,
        progress: &Progress<'_>,
    ) -> Result<Made, BuildError> {
        let mut made = Made::default();
        for form in outputs.iter().filter_map(|output| self.form(output)) {
            if made.of(Some(&form)).is_some() {
                continue;
            }
            let image = self.assemble(ready, snapshots, &form, attestor)?;
            for attached in &image.attached {
                let digest = attached.manifest.digest();
                progress.end_part(&format!("exporting attestation manifest {digest}"));
            }
            made.0.push((form, image));
        }
        Ok(made)
    }

    /// The root filesystem of every platform's image.
    pub(super) fn snapshots(&self, ready: &Ready) -> Result<Vec<Snapshot>, BuildError> {
        let solved = |target: &Target| {
            let snapshot = ready.solved.snapshot(target.vertex).cloned().unwrap_or_default();
            match self.request.squash {
                true => self.squashed(&snapshot, target.config.rootfs.diff_ids.len()),
                false => Ok(snapshot),
            }
        };
        ready.targets.iter().map(solved).collect()
    }

    /// Makes the image of every platform, and the index over them, in one form.
    fn assemble(
        &self,
        ready: &Ready,
        snapshots: &[Snapshot],
        form: &Form,
        attestor: &Attestor<'_>,
    ) -> Result<Assembly, BuildError> {
        let targets = || ready.targets.iter().zip(snapshots);
        let configs: Vec<ImageConfig> = targets()
            .map(|(target, snapshot)| self.config(ready, target, snapshot))
            .collect::<Result<_, _>>()?;
        let recipes: Vec<Recipe<'_>> = targets()
            .zip(&configs)
            .map(|((target, snapshot), config)| self.recipe(ready, target, snapshot, config, form))
            .collect::<Result<_, _>>()?;
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

    /// The config of one platform's image: the Dockerfile's, as the request wants it changed.
    fn config(
        &self,
        ready: &Ready,
        target: &Target,
        snapshot: &Snapshot,
    ) -> Result<ImageConfig, BuildError> {
        let mut config = target.config.clone();
        self.request.changes.apply(&mut config);
        self.add_inline_cache(ready, target, snapshot, &mut config)?;
        Ok(config)
    }

    /// What one platform's image is made from.
    fn recipe<'r>(
        &self,
        ready: &Ready,
        target: &'r Target,
        snapshot: &Snapshot,
        config: &'r ImageConfig,
        form: &'r Form,
    ) -> Result<Recipe<'r>, BuildError> {
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
        match self.unprivileged && !recipe.is_ready(self.store)? {
            true => Err(BuildError::NeedsUserNamespace),
            false => Ok(recipe),
        }
    }
}

/// Tells who asked for the build what its image is.
pub(super) fn described(made: &Assembly, ready: &Ready) -> Result<BuiltImage, BuildError> {
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
