//! The image: config, history and layers put together, and the same image for the same build.
//!
//! A config holds the time at which it was made, so making it anew would give every rebuild another
//! image ID. What a build is made of (layers, config, history; not times, not names) is therefore
//! the key of a record that holds the config and manifest as they were written the first time. A
//! rebuild finds them, needs no diff ID, and has the same image ID, also after `rmi` (A5-15).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_cache::{Key, LayerId, NewImage, NewRecord, RecordKind, Store};
use gantry_image::{
    DateTime, Descriptor, DiffId, Digest, History, ImageConfig, ImageManifest, MediaType, Platform,
    Raw, RootFs,
};

use super::ExportError;
use super::layers::ImageLayer;

/// What an image is made from.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    /// The config with the base's history, without diff IDs and times.
    pub(crate) config: &'a ImageConfig,
    /// What this build adds to the history.
    pub(crate) history: Vec<Step>,
    /// All layers, lowest first.
    pub(crate) layers: Vec<LayerId>,
    /// The base image's diff IDs, for as many of the lowest layers; and when it was made.
    pub(crate) base: Vec<DiffId>,
    pub(crate) base_created: Option<DateTime>,
    pub(crate) platform: &'a Platform,
    /// SOURCE_DATE_EPOCH.
    pub(crate) epoch: Option<i64>,
}

/// One new line of the history.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) created_by: String,
    pub(crate) comment: String,
    /// How many layers belong to it: none, or one.
    pub(crate) layers: usize,
}

/// An image that is in the store, and how its layers come to their diff IDs.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) config: Raw<ImageConfig>,
    pub(crate) manifest: Raw<ImageManifest>,
    pub(crate) layers: Vec<ImageLayer>,
    /// It was there before.
    pub(crate) reused: bool,
}

impl Assembled {
    /// The image ID.
    pub(crate) fn id(&self) -> Digest {
        self.config.digest()
    }
}

/// Finds the image that was made from this recipe before, or makes it.
pub(crate) fn find_or_make(store: &Store, recipe: &Recipe<'_>) -> Result<Assembled, ExportError> {
    let key = recipe.key();
    if let Some(found) = find(store, recipe, &key)? {
        return Ok(found);
    }
    let layers = recipe.image_layers(store)?;
    let config = Raw::write(recipe.config(&layers));
    let manifest = Raw::write(manifest(&config, &layers));
    let assembled = Assembled { config, manifest, layers, reused: false };
    put(store, recipe, &assembled)?;
    store.records().put(&NewRecord {
        key,
        kind: RecordKind::Other,
        layers: &recipe.layers,
        preimage: &[],
        took: Duration::ZERO,
        log: None,
        extra: &encode(&assembled),
        stage: "",
        position: 0,
        text: "",
    })?;
    Ok(assembled)
}

fn find(store: &Store, recipe: &Recipe<'_>, key: &Key) -> Result<Option<Assembled>, ExportError> {
    let Some(record) = store.records().get(key)? else { return Ok(None) };
    let Some((config, manifest, clamps)) = decode(&record.extra) else { return Ok(None) };
    let (Ok(config), Ok(manifest)) =
        (Raw::<ImageConfig>::parse(config), Raw::<ImageManifest>::parse(manifest))
    else {
        return Ok(None);
    };
    let sizes = manifest.layers.iter().map(|layer| layer.size);
    let whole = [recipe.layers.len(), config.rootfs.diff_ids.len(), clamps.len(), sizes.len()];
    if whole.iter().any(|count| *count != whole[0]) {
        return Ok(None);
    }
    let layers = recipe
        .layers
        .iter()
        .zip(&config.rootfs.diff_ids)
        .zip(sizes.zip(clamps))
        .map(|((id, diff_id), (size, clamp))| ImageLayer {
            id: *id,
            diff_id: *diff_id,
            size,
            clamp,
        })
        .collect();
    let known = store.images().get(&config.digest())?;
    let reused = known.is_some_and(|image| image.layers == recipe.layers);
    let assembled = Assembled { config, manifest, layers, reused };
    if !reused {
        put(store, recipe, &assembled)?;
    }
    Ok(Some(assembled))
}

fn put(store: &Store, recipe: &Recipe<'_>, image: &Assembled) -> Result<(), ExportError> {
    store.blobs().put(image.config.bytes())?;
    store.blobs().put(image.manifest.bytes())?;
    let mut size = 0;
    for layer in &recipe.layers {
        size += store.layers().require(layer)?.size.unwrap_or_default();
    }
    let created = image.config.created.as_ref().and_then(DateTime::unix);
    let created = created.and_then(|(secs, nanos)| {
        Some(UNIX_EPOCH + Duration::new(u64::try_from(secs).ok()?, nanos))
    });
    store.images().put(&NewImage {
        id: image.config.digest(),
        manifest: Some(image.manifest.digest()),
        platform: recipe.platform,
        layers: &recipe.layers,
        size,
        created,
    })?;
    Ok(())
}

impl Recipe<'_> {
    /// Everything that makes the image what it is, but for the time.
    fn key(&self) -> Key {
        let mut hasher = blake3::Hasher::new_derive_key("gantry image 1");
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(Raw::write(self.config.clone()).bytes());
        for step in &self.history {
            add(step.created_by.as_bytes());
            add(step.comment.as_bytes());
            add(&[u8::try_from(step.layers).unwrap_or(u8::MAX)]);
        }
        add(b"layers");
        self.layers.iter().for_each(|layer| add(&layer.0));
        add(b"base");
        self.base.iter().for_each(|diff_id| add(diff_id.0.to_string().as_bytes()));
        add(self.platform.to_string().as_bytes());
        add(self.epoch.map(|epoch| epoch.to_string()).unwrap_or_default().as_bytes());
        Key(*hasher.finalize().as_bytes())
    }

    /// Says whether the image can be found or made without reading any layer.
    pub(crate) fn is_ready(&self, store: &Store) -> Result<bool, ExportError> {
        if store.records().get(&self.key())?.is_some() {
            return Ok(true);
        }
        for id in &self.layers {
            let layer = store.layers().require(id)?;
            if layer.diff_id(self.epoch).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn image_layers(&self, store: &Store) -> Result<Vec<ImageLayer>, ExportError> {
        let base_epoch = self.base_created.as_ref().and_then(DateTime::unix).map(|(secs, _)| secs);
        let mut clamps = vec![None, self.epoch, base_epoch];
        clamps.dedup();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (number, id) in self.layers.iter().enumerate() {
            layers.push(match self.base.get(number) {
                Some(diff_id) => ImageLayer::of_base(store, *id, *diff_id, &clamps)?,
                None => ImageLayer::own(store, *id, self.epoch)?,
            });
        }
        Ok(layers)
    }

    fn config(&self, layers: &[ImageLayer]) -> ImageConfig {
        let now = self.epoch.map_or_else(now, |epoch| DateTime::from_unix(epoch, 0));
        let mut config = self.config.clone();
        config.set_platform(self.platform);
        config.created = Some(now.clone());
        config.rootfs = RootFs {
            diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
            ..RootFs::default()
        };
        complete_history(&mut config, self.base.len(), self.base_created.as_ref());
        config.history.extend(self.history.iter().map(|step| History {
            created: Some(now.clone()),
            created_by: step.created_by.clone(),
            comment: step.comment.clone(),
            empty_layer: step.layers == 0,
            ..History::default()
        }));
        config
    }
}

/// Makes the base's history speak of exactly its layers (B9-05): imported images may have none,
/// and others more lines than layers.
fn complete_history(config: &mut ImageConfig, layers: usize, created: Option<&DateTime>) {
    let mut spoken = config.history_layers();
    while spoken < layers {
        let created = created.cloned();
        config.history.push(History { created, ..History::default() });
        spoken += 1;
    }
    for line in config.history.iter_mut().rev().filter(|line| !line.empty_layer) {
        if spoken == layers {
            break;
        }
        line.empty_layer = true;
        spoken -= 1;
    }
}

fn now() -> DateTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    DateTime::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

/// Layers are described uncompressed: the digest is the diff ID. Compressing is for a push.
fn manifest(config: &Raw<ImageConfig>, layers: &[ImageLayer]) -> ImageManifest {
    let describe =
        |layer: &ImageLayer| Descriptor::new(MediaType::OciLayer, layer.diff_id.0, layer.size);
    ImageManifest {
        schema_version: 2,
        media_type: Some(MediaType::OciManifest),
        artifact_type: None,
        config: Descriptor::new(MediaType::OciConfig, config.digest(), config.size()),
        layers: layers.iter().map(describe).collect(),
        subject: None,
        annotations: std::collections::BTreeMap::new(),
        extra: std::collections::BTreeMap::new(),
    }
}

/// Config and manifest as they were written, and the clamp of each layer.
fn encode(image: &Assembled) -> Vec<u8> {
    let mut bytes = vec![1];
    for document in [image.config.bytes(), image.manifest.bytes()] {
        bytes.extend((document.len() as u64).to_le_bytes());
        bytes.extend(document);
    }
    for layer in &image.layers {
        bytes.push(u8::from(layer.clamp.is_some()));
        bytes.extend(layer.clamp.unwrap_or_default().to_le_bytes());
    }
    bytes
}

type Written = (Vec<u8>, Vec<u8>, Vec<Option<i64>>);

fn decode(bytes: &[u8]) -> Option<Written> {
    let mut rest = bytes.strip_prefix(&[1])?;
    let mut document = || {
        let (length, tail) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (document, tail) = tail.split_at_checked(length)?;
        rest = tail;
        Some(document.to_vec())
    };
    let (config, manifest) = (document()?, document()?);
    let (clamps, tail) = rest.as_chunks::<9>();
    let clamp = |chunk: &[u8; 9]| match chunk {
        [0, ..] => None,
        [_, seconds @ ..] => Some(i64::from_le_bytes(*seconds)),
    };
    tail.is_empty().then(|| (config, manifest, clamps.iter().map(clamp).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &[bool]) -> ImageConfig {
        let history =
            lines.iter().map(|empty| History { empty_layer: *empty, ..History::default() });
        ImageConfig { history: history.collect(), ..ImageConfig::default() }
    }

    #[test]
    fn a_history_is_made_to_speak_of_every_layer_once() {
        for (lines, layers) in
            [(vec![], 2), (vec![false, true, false], 1), (vec![true, false], 3), (vec![false], 0)]
        {
            let mut config = config(&lines);
            complete_history(&mut config, layers, None);
            assert_eq!(config.history_layers(), layers, "{lines:?}");
        }
    }
}
