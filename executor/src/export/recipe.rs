//! The recipe of an image: what it is made from, and the config that this gives.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_cache::{Key, LayerId, Store};
use gantry_image::{DateTime, Digest, History, ImageConfig, Platform, Raw, RootFs};
use gantry_solver::lower::HistoryItem;

use super::ExportError;
use super::layers::ImageLayer;
use crate::image_options::ImageOptions;
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
    /// Whether the layers above the base's were made one.
    pub(crate) squashed: bool,
    /// Annotations that follow from what it is made from.
    pub(crate) said: Vec<(String, String)>,
    pub(crate) options: &'a ImageOptions,
}

impl Recipe<'_> {
    /// The time that no file is younger than.
    fn clamp(&self) -> Option<i64> {
        self.epoch.filter(|_| !self.options.keep_times)
    }

    /// Everything that makes the image what it is, but for the time.
    pub(super) fn key(&self) -> Key {
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
        if self.squashed {
            add(b"squashed");
        }
        if *self.options != ImageOptions::default() {
            // Its text names every field; one that is new gives another key, and no wrong image.
            add(format!("{:?}", self.options).as_bytes());
        }
        for (key, value) in &self.said {
            add(key.as_bytes());
            add(value.as_bytes());
        }
        Key(*hasher.finalize().as_bytes())
    }

    /// Says whether the image can be found or made without reading any layer.
    pub(crate) fn is_ready(&self, store: &Store) -> Result<bool, ExportError> {
        if store.records().get(&self.key())?.is_some() {
            return Ok(true);
        }
        if self.options.compression.is_some() {
            return Ok(false);
        }
        for id in &self.layers {
            let layer = store.layers().require(id)?;
            if layer.diff_id(self.clamp()).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many of the layers are the base image's.
    pub(super) fn base_layers(&self) -> usize {
        self.config.rootfs.diff_ids.len()
    }

    pub(super) fn image_layers(&self, store: &Store) -> Result<Vec<ImageLayer>, ExportError> {
        let base = &self.config.rootfs.diff_ids;
        if base.len() > self.layers.len() {
            let what = "the base image has more diff IDs than layers".to_owned();
            return Err(ExportError::Image { what, source: None });
        }
        let mut clamps = vec![None, self.clamp(), self.epoch, self.base_epoch(store)];
        clamps.dedup();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (number, id) in self.layers.iter().enumerate() {
            layers.push(match base.get(number) {
                Some(diff_id) => ImageLayer::of_base(store, *id, *diff_id, &clamps)?,
                None => ImageLayer::own(store, *id, self.clamp())?,
            });
        }
        Ok(layers)
    }

    /// When the base image says that it was made.
    fn base_epoch(&self, store: &Store) -> Option<i64> {
        let config = read_config(store, &self.base?).ok()?;
        config.created.as_ref()?.unix().map(|(seconds, _)| seconds)
    }

    pub(super) fn config(&self, layers: &[ImageLayer]) -> ImageConfig {
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
            empty_layer: item.vertex.is_none() || self.squashed,
            ..History::default()
        }));
        if self.squashed {
            let base = self.base.map_or_else(|| "scratch".to_owned(), |base| base.to_string());
            config.history.push(History {
                created: Some(now),
                comment: format!("squashed onto {base}"),
                ..History::default()
            });
        }
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
