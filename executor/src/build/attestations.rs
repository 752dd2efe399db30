//! What is said about the result of a build: the steps that look through it, and which output gets
//! what.

use std::time::SystemTime;

use gantry_cache::{Image, NewList};
use gantry_image::compress::Compression;
use gantry_image::{Digest, Platform, Raw, Reference};
use gantry_solver::{Graph, ImageName, ImageRequest, Resolve as _};

use super::{Build, Ready, Target};
use crate::attest::{Attestations, Attested, Attestor, Scanned, add_scan, read_sboms};
use crate::error::BuildError;
use crate::export::{self, Assembled, Assembly};
use crate::image_options::{AttestationOptions, ImageOptions, LayerCompression};
use crate::request::Output;
use crate::resolve::Resolver;

/// How an output wants its image, and what is said about it there.
#[derive(Debug, PartialEq)]
pub(super) struct Form {
    /// How the image itself is written.
    pub(super) image: ImageOptions,
    /// The same, and how statements are attached.
    pub(super) options: ImageOptions,
    /// The names under which it is spoken of; nothing if nothing is said.
    pub(super) names: Option<Vec<Reference>>,
    /// Whether all is said, also what is for images in a store or a registry only.
    pub(super) inline: bool,
}

impl Build<'_> {
    /// How an output wants its image; nothing for outputs that are files alone.
    ///
    /// Whoever speaks of an image names its manifest, so its layers are compressed at once, where a
    /// push would do that later.
    pub(super) fn form(&self, output: &Output) -> Option<Form> {
        let mut options = export::options(output)?.clone();
        let asked = &self.request.attestations;
        let how = std::mem::take(&mut options.attestations);
        let (names, in_place) = match output {
            Output::Registry { names, .. } => (names.as_slice(), true),
            Output::Oci { names, .. } => (names.as_slice(), false),
            _ => (&[][..], true),
        };
        let several = self.request.platforms.len() > 1;
        let inline = how.inline.unwrap_or(in_place);
        let docker = matches!(output, Output::Docker { .. });
        let said = !docker
            && !how.none
            && (asked.is_required() || (asked.is_any() && (inline || several)));
        if !said {
            return Some(Form { image: options.clone(), options, names: None, inline });
        }
        options.docker_types = false;
        if in_place && options.compression.is_none() {
            options.compression = Some(LayerCompression { kind: Compression::Gzip, level: None });
        }
        let image = options.clone();
        options.attestations = AttestationOptions { artifact: how.artifact, ..how };
        let names = if names.is_empty() { &self.request.tags } else { names };
        let inline = inline || several || asked.is_required();
        Some(Form { image, options, names: Some(names.to_vec()), inline })
    }

    /// Adds the steps that look through each target, if a bill of materials is wanted.
    pub(super) async fn add_scans(
        &self,
        graph: &mut Graph,
        targets: &mut [Target],
        images: &Resolver,
    ) -> Result<(), BuildError> {
        let Some(sbom) = &self.request.attestations.sbom else { return Ok(()) };
        let name = ImageName::Reference(sbom.generator.clone());
        let request = ImageRequest { name, platform: Platform::host() };
        let generator = match images.image(&request).await {
            Ok(generator) => generator,
            Err(_) if images.needs_user_namespace() => return Err(BuildError::NeedsUserNamespace),
            Err(_) if self.cancel.is_canceled() => return Err(BuildError::Canceled),
            Err(error) => {
                let hint = error.hint.clone();
                let what = format!("failed to find the SBOM generator {}: {error}", sbom.generator);
                return Err(BuildError::Unsupported { what, hint });
            }
        };
        for target in targets {
            let scanned = Scanned {
                platform: target.platform.to_string(),
                target: target.vertex,
                stages: &target.scans.stages,
                context: target.scans.context,
            };
            let scan = add_scan(graph, sbom, &generator, &scanned)
                .map_err(|what| BuildError::Unsupported { what, hint: None })?;
            target.scan = Some(scan);
        }
        Ok(())
    }

    /// Who says what there is to be said.
    pub(super) fn attestor<'a>(
        &'a self,
        ready: &'a Ready,
        asked: &'a Attestations,
    ) -> Result<Attestor<'a>, BuildError> {
        let mut targets = Vec::new();
        for target in &ready.targets {
            let mut sboms = Vec::new();
            if let (Some(scan), Some(sbom)) = (target.scan, &asked.sbom) {
                let snapshot = ready.solved.snapshot(scan.result).cloned().unwrap_or_default();
                self.fetch_snapshot(&snapshot, true)?;
                sboms = read_sboms(&self.executor, &snapshot, &sbom.generator)
                    .map_err(|what| BuildError::Unsupported { what, hint: None })?;
            }
            targets.push(Attested {
                vertex: target.vertex,
                generator: target.scan.map(|scan| scan.image),
                sboms,
                squashed: self.request.squash,
            });
        }
        Ok(Attestor {
            asked,
            request: &self.asked,
            executor: &self.executor,
            graph: &ready.graph,
            solved: &ready.solved,
            dockerfile: &self.dockerfile,
            epoch: ready.targets.first().and_then(|target| target.epoch),
            targets,
            finished: SystemTime::now(),
        })
    }

    /// Keeps with an image of the store the index over it, over those for other platforms, and over
    /// what is said about them; or none where there is none. `known` is the image as it was before.
    pub(super) fn keep_list(
        &self,
        stored: &Assembly,
        known: Option<&Image>,
    ) -> Result<Option<Digest>, BuildError> {
        let image = stored.named()?;
        let list = stored.index.as_ref().map(Raw::digest);
        if known.is_some_and(|known| known.list == list) {
            return Ok(list);
        }
        let Some(index) = list else {
            self.store.images().set_list(&image.id(), None)?;
            return Ok(None);
        };
        let mut blobs = Vec::new();
        for image in &stored.images {
            // An image that was pushed since has another manifest, and this one may be gone.
            blobs.push(self.store.blobs().put(image.manifest.bytes())?);
        }
        for attached in &stored.attached {
            blobs.push(attached.manifest.digest());
            blobs.extend(attached.blobs.iter().map(|blob| blob.descriptor.digest));
        }
        let images: Vec<Digest> = stored.images.iter().map(Assembled::id).collect();
        let list = NewList { index, blobs: &blobs, images: &images };
        self.store.images().set_list(&image.id(), Some(&list))?;
        Ok(Some(index))
    }
}
