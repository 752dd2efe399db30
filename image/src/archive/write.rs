//! Writing archives: a tar that is docker archive and OCI layout at once, or a layout alone.
//!
//! The tar is streamed and the same for the same images: documents first, so that who reads a
//! stream knows what will come, then blobs, each once; every member is root's with time 0.
//! `repositories` is not written: it named layers by IDs that images no longer have, and no reader
//! since docker 1.10 wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::Serialize;

use super::ArchiveError;
use super::layer::LayerBytes;
use super::layout::{IMAGE_NAME, REF_NAME, blob};
use super::output::Output;
use super::target::{DirectoryTarget, TarTarget, Target};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::index::ImageIndex;
use crate::json::{Raw, to_go_vec};
use crate::manifest::{Descriptor, ImageManifest};
use crate::media_type::MediaType;
use crate::platform::Platform;
use crate::reference::Reference;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// An image to be written.
pub struct SaveImage<'a> {
    /// What it alone shall be called; each name gets an entry in `index.json`. One without a name
    /// gets an entry, too, unless an index lists it.
    pub names: Vec<Reference>,
    /// Its config.
    pub config: Raw<ImageConfig>,
    /// Its manifest, whose layers must be those of `layers`; one is made where there is none.
    pub manifest: Option<Raw<ImageManifest>>,
    /// Its layers, lowest first.
    pub layers: Vec<SaveLayer<'a>>,
    /// Annotations for its entries in `index.json`.
    pub annotations: Vec<(String, String)>,
    /// Its platform in `index.json`, where that shall be said.
    pub platform: Option<Platform>,
}

/// A layer's blob to be written: what it is, and a way to its bytes.
pub struct SaveLayer<'a> {
    /// Its media type, digest and size, which are needed before the first byte.
    pub descriptor: Descriptor,
    /// Opens the bytes; called once at most. They are checked against the descriptor while written.
    pub open: Box<dyn FnMut() -> io::Result<LayerBytes<'a>> + 'a>,
    /// Hears how many of them have been written.
    pub told: Box<dyn FnMut(u64) + 'a>,
}

/// An index over images that are written with it, so that all of them have one name.
pub struct SaveIndex {
    /// What it shall be called; each name gets an entry in `index.json`.
    pub names: Vec<Reference>,
    /// The index itself; every image that it lists must be among those that are written.
    pub index: Raw<ImageIndex>,
    /// The ID of the image that its names stand for in docker's `manifest.json`, where one is written.
    pub shown: Option<Digest>,
    /// Annotations for its entries in `index.json`.
    pub annotations: Vec<(String, String)>,
    /// What else it names, such as attestations: manifests and their blobs.
    pub blobs: Vec<Vec<u8>>,
}

/// Writes one tar that is a docker archive and an OCI layout at once (A3-12). Names may stand for
/// indexes over `images`; `manifest.json`, which knows none, holds of each the image that is shown.
///
/// # Errors
/// [`ArchiveError::Write`], also for a blob that isn't what its descriptor says;
/// [`ArchiveError::Inconsistent`] for an image or index whose parts don't fit.
pub fn write_docker(
    indexes: &[SaveIndex],
    images: &mut [SaveImage<'_>],
    out: &mut dyn Output,
) -> Result<(), ArchiveError> {
    let items = docker_items(images, indexes);
    write_tar(indexes, images, Some(&items), out)
}

/// Writes an OCI layout of images, and of indexes over them, as a tar.
///
/// # Errors
/// As [`write_docker`].
pub fn write_oci_tar(
    indexes: &[SaveIndex],
    images: &mut [SaveImage<'_>],
    out: &mut dyn Output,
) -> Result<(), ArchiveError> {
    write_tar(indexes, images, None, out)
}

/// Writes an OCI layout of images, and of indexes over them, into a directory, which is made if it
/// is missing. Blobs that are there already are kept; `index.json` gets new entries, and loses those
/// of the same name. Blobs come first and `index.json` last, by a rename, so that a reader never
/// misses one.
///
/// # Errors
/// As [`write_docker`].
pub fn write_oci_directory(
    indexes: &[SaveIndex],
    images: &mut [SaveImage<'_>],
    directory: &Path,
) -> Result<(), ArchiveError> {
    let mut target = DirectoryTarget { directory };
    let plan = plan(indexes, images)?;
    write_blobs(images, &plan, &mut target)?;
    let entries = with_those_of(&directory.join("index.json"), plan.index)?;
    target.document("oci-layout", LAYOUT)?;
    target.document("index.json", &to_go_vec(&ImageIndex::new(entries, false), false))
}

/// Adds to new entries those of an `index.json` that is there, but for what they replace: the same
/// manifest, or the same name.
fn with_those_of(path: &Path, new: Vec<Descriptor>) -> Result<Vec<Descriptor>, ArchiveError> {
    let Ok(old) = fs_err::read(path) else { return Ok(new) };
    let old: Raw<ImageIndex> = Raw::parse(old)
        .map_err(|source| ArchiveError::Document { name: "index.json".to_owned(), source })?;
    let name = |entry: &Descriptor| {
        entry.annotations.get(IMAGE_NAME).or(entry.annotations.get(REF_NAME)).cloned()
    };
    let kept = |entry: &&Descriptor| {
        new.iter().all(|new| {
            new.digest != entry.digest && (name(new).is_none() || name(new) != name(entry))
        })
    };
    let kept: Vec<Descriptor> = old.manifests.iter().filter(kept).cloned().collect();
    Ok(kept.into_iter().chain(new).collect())
}

/// What all images come to.
#[derive(Default)]
struct Plan {
    index: Vec<Descriptor>,
    manifests: Vec<Raw<ImageManifest>>,
    /// The indexes that are blobs themselves, and what they name besides the images.
    blobs: Vec<Vec<u8>>,
}

/// An item of docker's `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
    layer_sources: BTreeMap<String, Descriptor>,
}

fn write_tar(
    indexes: &[SaveIndex],
    images: &mut [SaveImage<'_>],
    docker: Option<&[Item]>,
    out: &mut dyn Output,
) -> Result<(), ArchiveError> {
    let plan = plan(indexes, images)?;
    let mut target = TarTarget::new(out);
    target.document("oci-layout", LAYOUT)?;
    target
        .document("index.json", &to_go_vec(&ImageIndex::new(plan.index.clone(), false), false))?;
    if let Some(items) = docker {
        target.document("manifest.json", &to_go_vec(&items, false))?;
    }
    target.directory("blobs/")?;
    target.directory("blobs/sha256/")?;
    write_blobs(images, &plan, &mut target)?;
    target.finish()
}

/// Makes the manifests that are missing and the index, and checks that all fits.
fn plan(indexes: &[SaveIndex], images: &[SaveImage<'_>]) -> Result<Plan, ArchiveError> {
    let mut plan = Plan::default();
    for SaveIndex { names, index, annotations, blobs, .. } in indexes {
        let kind = index.media_type.clone().unwrap_or(MediaType::OciIndex);
        let mut entry = Descriptor::new(kind, index.digest(), index.size());
        entry.annotations.extend(annotations.iter().cloned());
        plan.index.extend(named(&entry, names));
        plan.blobs.push(index.bytes().to_vec());
        plan.blobs.extend(blobs.iter().cloned());
    }
    for image in images {
        let manifest = manifest_of(image)?;
        let mut entry = Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size());
        entry.annotations.extend(image.annotations.iter().cloned());
        entry.platform.clone_from(&image.platform);
        let listed = || {
            let mut entries = indexes.iter().flat_map(|over| &over.index.manifests);
            entries.any(|entry| entry.digest == manifest.digest())
        };
        if !image.names.is_empty() || !listed() {
            plan.index.extend(named(&entry, &image.names));
        }
        plan.manifests.push(manifest);
    }
    let written = |entry: &Descriptor| {
        plan.manifests.iter().any(|manifest| manifest.digest() == entry.digest)
    };
    let mut listed = indexes.iter().flat_map(|over| over.index.images());
    if !listed.all(written) {
        return Err(ArchiveError::Inconsistent("its index is of other images".to_owned()));
    }
    Ok(plan)
}

/// The image's manifest, which is made where there is none.
fn manifest_of(image: &SaveImage<'_>) -> Result<Raw<ImageManifest>, ArchiveError> {
    let (layers, config) = (&image.layers, &image.config);
    let expected = config.rootfs.diff_ids.len();
    if layers.len() != expected {
        let reason = format!("it has {} layers, its config {expected}", layers.len());
        return Err(ArchiveError::Inconsistent(reason));
    }
    let Some(manifest) = &image.manifest else {
        let config = Descriptor::new(MediaType::OciConfig, config.digest(), config.size());
        let layers = layers.iter().map(|layer| layer.descriptor.clone()).collect();
        return Ok(Raw::write(ImageManifest::new(config, layers, false)));
    };
    let named = manifest.layers.iter().map(|layer| layer.digest);
    if manifest.config.digest != config.digest()
        || !named.eq(layers.iter().map(|layer| layer.descriptor.digest))
    {
        let reason = "its manifest is of another image".to_owned();
        return Err(ArchiveError::Inconsistent(reason));
    }
    Ok(manifest.clone())
}

/// The entries of `index.json` for something with these names; one if it has none.
fn named(entry: &Descriptor, names: &[Reference]) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![entry.clone()];
    }
    let annotated = |name: &Reference| {
        let named = entry.clone().annotate(IMAGE_NAME, name.to_string());
        named.annotate(REF_NAME, name.tag().unwrap_or("latest"))
    };
    names.iter().map(annotated).collect()
}

fn docker_items(images: &[SaveImage<'_>], indexes: &[SaveIndex]) -> Vec<Item> {
    // By digest nothing can be loaded again, so only the tag is said.
    let tagged = |name: &Reference| {
        let tag = name.tag()?;
        Some(name.with_tag(tag).map_or_else(|_| name.familiar(), |name| name.familiar()))
    };
    let mut items = Vec::new();
    for image in images {
        let lists = |over: &&SaveIndex| {
            let manifest = image.manifest.as_ref().map(Raw::digest);
            over.index.manifests.iter().any(|entry| Some(entry.digest) == manifest)
        };
        let over: Vec<&SaveIndex> = indexes.iter().filter(lists).collect();
        let shown = |over: &&&SaveIndex| over.shown == Some(image.config.digest());
        let shown: Vec<&&SaveIndex> = over.iter().filter(shown).collect();
        if image.names.is_empty() && !over.is_empty() && shown.is_empty() {
            continue;
        }
        let names = shown.iter().flat_map(|over| &over.names).chain(&image.names);
        let diff_ids = image.config.rootfs.diff_ids.iter().zip(&image.layers);
        items.push(Item {
            config: blob(image.config.digest()),
            repo_tags: names.filter_map(tagged).collect(),
            layers: image.layers.iter().map(|layer| blob(layer.descriptor.digest)).collect(),
            layer_sources: diff_ids
                .map(|(diff_id, layer)| (diff_id.to_string(), layer.descriptor.clone()))
                .collect(),
        });
    }
    items
}

fn write_blobs(
    images: &mut [SaveImage<'_>],
    plan: &Plan,
    target: &mut dyn Target,
) -> Result<(), ArchiveError> {
    let mut done: BTreeSet<Digest> = BTreeSet::new();
    for bytes in &plan.blobs {
        let digest = Digest::of(bytes);
        if done.insert(digest) && !target.has(&blob(digest)) {
            target.document(&blob(digest), bytes)?;
        }
    }
    for (image, manifest) in images.iter_mut().zip(&plan.manifests) {
        for (digest, bytes) in
            [(manifest.digest(), manifest.bytes()), (image.config.digest(), image.config.bytes())]
        {
            if done.insert(digest) && !target.has(&blob(digest)) {
                target.document(&blob(digest), bytes)?;
            }
        }
        for layer in &mut image.layers {
            let digest = layer.descriptor.digest;
            if done.insert(digest) && !target.has(&blob(digest)) {
                target.layer(&blob(digest), layer)?;
            }
        }
    }
    Ok(())
}
