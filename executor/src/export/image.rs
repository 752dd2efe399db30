//! The image: config, history and layers put together, and the same image for the same build.
//!
//! A config holds the time at which it was made, so making it anew would give every rebuild another
//! image ID. What a build is made of (layers, config, history; not times, not names) is therefore
//! the key of a record that holds the config and manifest as they were written the first time. A
//! rebuild finds them, needs no diff ID, and has the same image ID, also after `rmi` (A5-15).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_cache::{Key, LayerId, NewImage, NewRecord, RecordKind, Store};
use gantry_image::{
    DateTime, Descriptor, Digest, History, ImageConfig, ImageManifest, MediaType, Platform, Raw,
    RootFs,
};
use gantry_solver::lower::HistoryItem;

use super::ExportError;
use super::layers::ImageLayer;
use crate::resolve::read_config;

/// What an image is made from.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    /// The config with the base's history and diff IDs, without times.
    pub(crate) config: &'a ImageConfig,
    /// What this build adds to the history.
    pub(crate) history: &'a [HistoryItem],
    /// All layers, lowest first, the base's included.
    pub(crate) layers: Vec<LayerId>,
    /// The ID of the base image.
    pub(crate) base: Option<Digest>,
    pub(crate) platform: &'a Platform,
    /// SOURCE_DATE_EPOCH.
    pub(crate) epoch: Option<i64>,
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
        for item in self.history {
            add(item.created_by.as_bytes());
            add(&[u8::from(item.vertex.is_some())]);
        }
        add(b"layers");
        self.layers.iter().for_each(|layer| add(&layer.0));
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
        let base = &self.config.rootfs.diff_ids;
        if base.len() > self.layers.len() {
            let what = "the base image has more diff IDs than layers".to_owned();
            return Err(ExportError::Image { what, source: None });
        }
        let mut clamps = vec![None, self.epoch, self.base_epoch(store)];
        clamps.dedup();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (number, id) in self.layers.iter().enumerate() {
            layers.push(match base.get(number) {
                Some(diff_id) => ImageLayer::of_base(store, *id, *diff_id, &clamps)?,
                None => ImageLayer::own(store, *id, self.epoch)?,
            });
        }
        Ok(layers)
    }

    /// When the base image says that it was made.
    fn base_epoch(&self, store: &Store) -> Option<i64> {
        let config = read_config(store, &self.base?).ok()?;
        config.created.as_ref()?.unix().map(|(seconds, _)| seconds)
    }

    fn config(&self, layers: &[ImageLayer]) -> ImageConfig {
        let now = self.epoch.map_or_else(now, |epoch| DateTime::from_unix(epoch, 0));
        let mut config = self.config.clone();
        complete_history(&mut config);
        config.set_platform(self.platform);
        config.created = Some(now.clone());
        config.rootfs = RootFs {
            diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
            ..RootFs::default()
        };
        config.history.extend(self.history.iter().map(|item| History {
            created: Some(now.clone()),
            created_by: item.created_by.clone(),
            comment: HistoryItem::COMMENT.to_owned(),
            empty_layer: item.vertex.is_none(),
            ..History::default()
        }));
        config
    }
}

/// Makes the base's history speak of exactly its layers (B9-05): imported images may have none,
/// and others more lines than layers.
fn complete_history(base: &mut ImageConfig) {
    let layers = base.rootfs.diff_ids.len();
    let mut spoken = base.history_layers();
    while spoken < layers {
        base.history.push(History::default());
        spoken += 1;
    }
    for line in base.history.iter_mut().rev().filter(|line| !line.empty_layer) {
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
    use gantry_image::DiffId;

    use super::*;

    #[test]
    fn a_history_is_made_to_speak_of_every_layer_once() {
        for (lines, layers) in
            [(vec![], 2), (vec![false, true, false], 1), (vec![true, false], 3), (vec![false], 0)]
        {
            let line = |empty: &bool| History { empty_layer: *empty, ..History::default() };
            let diff_ids = vec![DiffId(Digest::of(b"")); layers];
            let mut config = ImageConfig {
                history: lines.iter().map(line).collect(),
                rootfs: RootFs { diff_ids, ..RootFs::default() },
                ..ImageConfig::default()
            };
            complete_history(&mut config);
            assert_eq!(config.history_layers(), layers, "{lines:?}");
        }
    }
}
