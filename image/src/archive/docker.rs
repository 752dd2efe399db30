//! Reading docker archives: `manifest.json`, and what docker wrote before 1.10.
//!
//! ```text
//! manifest.json   [{"Config": "<member>", "RepoTags": ["a:1"], "Layers": ["<member>", …]}, …]
//! repositories    {"a": {"1": "<id>"}}      then <id>/json (with "parent") and <id>/layer.tar
//! ```
//!
//! The older form has no config: one is made from the topmost layer's `json`, and diff IDs are
//! computed by reading the layers, as docker's own migration did.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::source::Source;
use super::{ArchiveError, ArchivedImage, ArchivedLayer};
use crate::compress;
use crate::config::{History, ImageConfig, RootFs};
use crate::datetime::DateTime;
use crate::digest::{DiffId, Digest, HashReader};
use crate::json::{Document, Raw};
use crate::reference::Reference;

const LIST_LIMIT: u64 = 16 << 20;
/// More layers than overlayfs can stack, so that a circle of parents ends.
const LAYERS: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    layers: Vec<String>,
}

/// Returns the images' names by their IDs, if there is a `manifest.json`.
pub(super) fn names(source: &dyn Source) -> Result<BTreeMap<Digest, Vec<Reference>>, ArchiveError> {
    let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
    if source.has("manifest.json") {
        for item in items(source)? {
            let config = source.read(&normal(&item.config)?, ImageConfig::LIMIT)?;
            names.entry(Digest::of(&config)).or_default().extend(references(&item)?);
        }
    }
    Ok(names)
}

/// Reads all images of a `manifest.json`.
pub(super) fn read(source: &dyn Source) -> Result<Vec<ArchivedImage>, ArchiveError> {
    items(source)?.into_iter().map(|item| image(source, &item)).collect()
}

fn items(source: &dyn Source) -> Result<Vec<Item>, ArchiveError> {
    let name = "manifest.json";
    let bytes = source.read(name, LIST_LIMIT)?;
    serde_json::from_slice(&bytes)
        .map_err(|source| ArchiveError::Json { name: name.to_owned(), source })
}

fn image(source: &dyn Source, item: &Item) -> Result<ArchivedImage, ArchiveError> {
    let name = normal(&item.config)?;
    let config: Raw<ImageConfig> = Raw::parse(source.read(&name, ImageConfig::LIMIT)?)
        .map_err(|source| ArchiveError::Document { name: name.clone(), source })?;
    // Docker names the config by its digest, in one of two ways; a name that lies is refused.
    let stem = name.rsplit('/').next().unwrap_or_default();
    if let Ok(expected) = Digest::from_hex(stem.strip_suffix(".json").unwrap_or(stem))
        && expected != config.digest()
    {
        return Err(ArchiveError::Corrupt { name, expected, found: config.digest() });
    }
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != item.layers.len() {
        return Err(ArchiveError::Inconsistent(format!(
            "`manifest.json` has {} layers, its config {}",
            item.layers.len(),
            diff_ids.len()
        )));
    }
    let layers = diff_ids.iter().zip(&item.layers).map(|(diff_id, layer)| {
        let member = normal(layer)?;
        let (size, _) = source.open(&member)?;
        let digest =
            member.strip_prefix("blobs/sha256/").and_then(|hex| Digest::from_hex(hex).ok());
        Ok(ArchivedLayer { diff_id: *diff_id, digest, size, media_type: None, member })
    });
    let layers = layers.collect::<Result<Vec<_>, ArchiveError>>()?;
    Ok(ArchivedImage {
        names: references(item)?,
        platform: config.platform(),
        manifest: None,
        config,
        layers,
    })
}

fn references(item: &Item) -> Result<Vec<Reference>, ArchiveError> {
    let parse = |name: &String| {
        let parsed = name.parse::<Reference>();
        parsed
            .map(Reference::with_default_tag)
            .map_err(|source| ArchiveError::Name { name: name.clone(), source })
    };
    item.repo_tags.iter().map(parse).collect()
}

/// Brings a member's name, as written in a document, into the form that sources know.
fn normal(name: &str) -> Result<String, ArchiveError> {
    let path = crate::layer::plain(name.as_bytes()).map_err(ArchiveError::Tar)?;
    Ok(path.to_string())
}

/// `<id>/json` of the older form: a config, and what is above it.
#[derive(Deserialize)]
struct Legacy {
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    created: Option<DateTime>,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    author: String,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    comment: String,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    container_config: LegacyCommand,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LegacyCommand {
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    cmd: Vec<String>,
}

/// Reads all images of a `repositories` file.
pub(super) fn read_legacy(source: &dyn Source) -> Result<Vec<ArchivedImage>, ArchiveError> {
    let name = "repositories";
    let bytes = source.read(name, LIST_LIMIT)?;
    let repositories: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_slice(&bytes)
            .map_err(|source| ArchiveError::Json { name: name.to_owned(), source })?;
    let mut names: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
    for (repository, tags) in repositories {
        for (tag, id) in tags {
            let name = format!("{repository}:{tag}");
            let parsed =
                name.parse::<Reference>().map_err(|source| ArchiveError::Name { name, source })?;
            names.entry(id).or_default().push(parsed);
        }
    }
    names.into_iter().map(|(id, names)| legacy_image(source, &id, names)).collect()
}

fn legacy_image(
    source: &dyn Source,
    id: &str,
    names: Vec<Reference>,
) -> Result<ArchivedImage, ArchiveError> {
    let (mut layers, mut history) = (Vec::new(), Vec::new());
    let mut config: Option<ImageConfig> = None;
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        if layers.len() >= LAYERS {
            return Err(ArchiveError::Inconsistent(format!("it has more than {LAYERS} layers")));
        }
        // An ID is a directory's name, and no way to any other.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ArchiveError::refused(&id, "it is no layer's ID"));
        }
        let name = format!("{id}/json");
        let bytes = source.read(&name, ImageConfig::LIMIT)?;
        let json = |source| ArchiveError::Json { name: name.clone(), source };
        let legacy: Legacy = serde_json::from_slice(&bytes).map_err(json)?;
        if config.is_none() {
            config = Some(serde_json::from_slice(&bytes).map_err(json)?);
        }
        layers.push(legacy_layer(source, format!("{id}/layer.tar"))?);
        history.push(History {
            created: legacy.created,
            created_by: legacy.container_config.cmd.join(" "),
            author: legacy.author,
            comment: legacy.comment,
            empty_layer: false,
        });
        next = legacy.parent.filter(|parent| !parent.is_empty());
    }
    layers.reverse();
    history.reverse();
    let mut config = config.unwrap_or_default();
    // These named the image before IDs were digests.
    for field in ["id", "parent", "layer_id", "Size", "throwaway", "comment"] {
        config.extra.remove(field);
    }
    config.history = history;
    config.rootfs = RootFs {
        diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        ..RootFs::default()
    };
    let config = Raw::write(config);
    Ok(ArchivedImage { names, platform: config.platform(), manifest: None, config, layers })
}

fn legacy_layer(source: &dyn Source, member: String) -> Result<ArchivedLayer, ArchiveError> {
    let (size, data) = source.open(&member)?;
    let (_, tar) = compress::reader(data).map_err(ArchiveError::Read)?;
    let (digest, _) = HashReader::new(tar.take(u64::MAX)).drain().map_err(ArchiveError::Read)?;
    Ok(ArchivedLayer { diff_id: DiffId(digest), digest: None, size, media_type: None, member })
}
