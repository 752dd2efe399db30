//! Reading OCI layouts: `oci-layout`, `index.json`, `blobs/sha256/<hex>`.
//!
//! Every image that is there whole is listed, one entry a platform. A manifest that the index names
//! and the archive doesn't hold (`docker save` of one platform) is left out, as is one whose layers
//! are missing; attestations are no images.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::source::Source;
use super::{ArchiveError, ArchivedImage, ArchivedIndex, ArchivedLayer};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::index::ImageIndex;
use crate::json::{Document, Raw};
use crate::manifest::{Descriptor, ImageManifest};
use crate::reference::Reference;

/// The whole name, as containerd and BuildKit write it.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";
/// OCI's annotation: the tag alone (docker), or the whole name (podman, skopeo).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
const NESTING: usize = 4;
const IMAGES: usize = 10_000;
/// No statement about an image comes near this.
const STATEMENT: u64 = 100 << 20;

/// Is this an OCI layout?
pub(super) fn is_layout(source: &dyn Source) -> bool {
    source.has("oci-layout") && source.has("index.json")
}

/// What an OCI layout holds.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) images: Vec<ArchivedImage>,
    pub(super) indexes: Vec<ArchivedIndex>,
}

/// Reads all images, and the indexes that are there whole. `names` are those of a docker archive's `manifest.json` in the same tar.
pub(super) fn read(
    source: &dyn Source,
    names: &BTreeMap<Digest, Vec<Reference>>,
) -> Result<Layout, ArchiveError> {
    check_version(source)?;
    let name = "index.json";
    let bytes = source.read(name, ImageIndex::LIMIT)?;
    let index: Raw<ImageIndex> = Raw::parse(bytes)
        .map_err(|source| ArchiveError::Document { name: name.to_owned(), source })?;
    let mut images: Vec<ArchivedImage> = Vec::new();
    let mut indexes: Vec<ArchivedIndex> = Vec::new();
    let mut missing = None;
    for entry in &index.manifests {
        let mut found = Found::default();
        collect(source, entry, NESTING, &mut found)?;
        missing = missing.or(found.missing);
        let mut places = Vec::new();
        let called = reference(entry)?;
        for mut image in found.images {
            image.names.extend(called.clone());
            // One image under many names has many entries in the index.
            let digest = image.manifest.as_ref().map(Raw::digest);
            let same = |known: &ArchivedImage| known.manifest.as_ref().map(Raw::digest) == digest;
            match images.iter().position(same) {
                Some(at) => {
                    images[at].names.append(&mut image.names);
                    places.push(at);
                }
                None => {
                    places.push(images.len());
                    images.push(image);
                }
            }
            if images.len() > IMAGES {
                return Err(ArchiveError::refused(
                    name,
                    format!("it has more than {IMAGES} images"),
                ));
            }
        }
        if entry.media_type.is_index() {
            add_index(source, entry, called, places, &mut indexes)?;
        }
    }
    // One image that isn't whole among others is another platform's; alone it is damage.
    if let (true, Some(missing)) = (images.is_empty(), missing) {
        return Err(ArchiveError::Missing(missing));
    }
    for image in &mut images {
        if let Some(called) = names.get(&image.config.digest()) {
            image.names = called.clone();
        }
        image.names.sort();
        image.names.dedup();
    }
    for index in &mut indexes {
        if index.names.is_empty() {
            // Docker's own list says what of it is shown, and how that is called.
            let of = |at: &usize| names.get(&images[*at].config.digest()).cloned();
            index.names = index.images.iter().filter_map(of).flatten().collect();
        }
        index.names.sort();
        index.names.dedup();
    }
    indexes.retain(|index| !index.names.is_empty());
    Ok(Layout { images, indexes })
}

/// Adds an index, if it is flat and nothing is missing that it needs.
fn add_index(
    source: &dyn Source,
    entry: &Descriptor,
    called: Option<Reference>,
    images: Vec<usize>,
    indexes: &mut Vec<ArchivedIndex>,
) -> Result<(), ArchiveError> {
    if let Some(known) = indexes.iter_mut().find(|known| known.index.digest() == entry.digest) {
        known.names.extend(called);
        return Ok(());
    }
    if images.is_empty() {
        return Ok(());
    }
    let index: Raw<ImageIndex> = document(source, entry)?;
    let (mut blobs, mut count) = (Vec::new(), 0);
    for inner in &index.manifests {
        let known = inner.media_type.is_manifest() && source.has(&blob(inner.digest));
        if !known || inner.size > ImageManifest::LIMIT {
            return Ok(());
        }
        let manifest: Raw<ImageManifest> = document(source, inner)?;
        blobs.push(Descriptor::new(inner.media_type.clone(), inner.digest, inner.size));
        if is_image(inner, &manifest) {
            count += 1;
            continue;
        }
        for part in manifest.layers.iter().chain([&manifest.config]) {
            if !source.has(&blob(part.digest)) || part.size > STATEMENT {
                return Ok(());
            }
            blobs.push(part.clone());
        }
    }
    // Of an image that is no image, or isn't whole, the index is not.
    if count == images.len() {
        indexes.push(ArchivedIndex { names: called.into_iter().collect(), index, images, blobs });
    }
    Ok(())
}

fn is_image(entry: &Descriptor, manifest: &ImageManifest) -> bool {
    !entry.is_attestation()
        && manifest.config.media_type.is_config()
        && manifest.artifact_type.is_none()
}

fn check_version(source: &dyn Source) -> Result<(), ArchiveError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layout {
        image_layout_version: String,
    }
    let name = "oci-layout";
    let bytes = source.read(name, 4096)?;
    let layout: Layout = serde_json::from_slice(&bytes)
        .map_err(|source| ArchiveError::Json { name: name.to_owned(), source })?;
    match layout.image_layout_version.starts_with("1.") {
        true => Ok(()),
        false => Err(ArchiveError::refused(
            name,
            format!("its version is `{}` and not `1.0.0`", layout.image_layout_version),
        )),
    }
}

/// The images below an entry, and the first blob that one lacks.
#[derive(Default)]
struct Found {
    images: Vec<ArchivedImage>,
    missing: Option<String>,
}

/// Finds the images that a descriptor stands for, through nested indexes.
fn collect(
    source: &dyn Source,
    entry: &Descriptor,
    depth: usize,
    found: &mut Found,
) -> Result<(), ArchiveError> {
    if entry.is_attestation() || found.images.len() > IMAGES {
        return Ok(());
    }
    let name = blob(entry.digest);
    if !source.has(&name) {
        found.missing.get_or_insert(name);
        return Ok(());
    }
    if entry.media_type.is_index() {
        if depth == 0 {
            return Err(ArchiveError::refused("index.json", "its indexes are nested too deeply"));
        }
        let index: Raw<ImageIndex> = document(source, entry)?;
        return index
            .manifests
            .iter()
            .try_for_each(|inner| collect(source, inner, depth - 1, found));
    }
    if entry.media_type.is_schema1() {
        return Err(ArchiveError::Inconsistent(
            "it is of schema 1, which is no longer read".to_owned(),
        ));
    }
    if !entry.media_type.is_manifest() {
        return Ok(());
    }
    let manifest: Raw<ImageManifest> = document(source, entry)?;
    if !is_image(entry, &manifest) {
        return Ok(());
    }
    let mut parts =
        std::iter::once(&manifest.config).chain(&manifest.layers).map(|part| blob(part.digest));
    match parts.find(|part| !source.has(part)) {
        Some(missing) => {
            found.missing.get_or_insert(missing);
        }
        None => found.images.push(image(source, manifest)?),
    }
    Ok(())
}

fn image(source: &dyn Source, manifest: Raw<ImageManifest>) -> Result<ArchivedImage, ArchiveError> {
    let config: Raw<ImageConfig> = document(source, &manifest.config)?;
    let (diff_ids, blobs) = (&config.rootfs.diff_ids, &manifest.layers);
    if diff_ids.len() != blobs.len() {
        return Err(ArchiveError::Inconsistent(format!(
            "its manifest has {} layers, its config {}",
            blobs.len(),
            diff_ids.len()
        )));
    }
    let layers = diff_ids.iter().zip(blobs).map(|(diff_id, layer)| ArchivedLayer {
        diff_id: *diff_id,
        digest: Some(layer.digest),
        size: layer.size,
        media_type: Some(layer.media_type.clone()),
        member: blob(layer.digest),
    });
    let layers = layers.collect();
    let platform = config.platform();
    Ok(ArchivedImage { names: Vec::new(), platform, manifest: Some(manifest), config, layers })
}

/// Reads a blob that is a document, and checks it against its descriptor.
fn document<T: Document>(source: &dyn Source, entry: &Descriptor) -> Result<Raw<T>, ArchiveError> {
    let name = blob(entry.digest);
    let bytes = source.read(&name, T::LIMIT)?;
    let found = Digest::of(&bytes);
    if found != entry.digest || bytes.len() as u64 != entry.size {
        return Err(ArchiveError::Corrupt { name, expected: entry.digest, found });
    }
    Raw::parse(bytes).map_err(|source| ArchiveError::Document { name, source })
}

/// Returns the member of a blob.
pub(super) fn blob(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Returns what an entry of `index.json` is called, if that is a name and not just a tag.
fn reference(entry: &Descriptor) -> Result<Option<Reference>, ArchiveError> {
    let parse = |name: &String| -> Result<Option<Reference>, ArchiveError> {
        let parsed = name
            .parse::<Reference>()
            .map_err(|source| ArchiveError::Name { name: name.clone(), source })?;
        Ok(Some(parsed.with_default_tag()))
    };
    match (entry.annotations.get(IMAGE_NAME), entry.annotations.get(REF_NAME)) {
        (Some(name), _) => parse(name),
        // A tag alone says nothing about the repository; anything else that is no name is a label.
        (None, Some(name)) if name.contains([':', '/']) => Ok(parse(name).unwrap_or_default()),
        _ => Ok(None),
    }
}
