//! The document of a build, put together step by step, and the manifest around it.

use std::collections::{BTreeMap, HashMap};

use gantry_image::json::to_go_vec;
use gantry_image::{DateTime, Descriptor, Digest, ImageIndex, ImageManifest, MediaType};

use super::config::{
    CREATED, CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, LayerAnnotations,
    StepFacts, UNCOMPRESSED,
};
use super::{CACHE_CONFIG, key_digest};
use crate::Key;

/// A step to be written.
#[derive(Debug)]
pub struct Step<'a> {
    /// The keys that it is found by, each of which becomes a record.
    pub keys: &'a [Key],
    /// Its inputs, by the first key of each; those that were not added are left out.
    pub inputs: &'a [Key],
    /// The root filesystem that it gave, lowest first; `None` if only its keys are known.
    pub result: Option<&'a [Descriptor]>,
    /// When it was made.
    pub created: Option<DateTime>,
    /// What only gantry knows of it; `None` for a source.
    pub facts: Option<StepFacts>,
}

/// How the manifest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An image manifest with the document for a config, which every registry takes.
    ImageManifest,
    /// An OCI index, or docker's list, with the document among what it lists.
    Index {
        /// Docker's types.
        docker: bool,
    },
    /// No manifest: the document describes its layers itself.
    Document {
        /// Docker's types.
        docker: bool,
    },
}

/// All that is to be stored elsewhere, but for the layers.
#[derive(Debug)]
pub struct Written {
    /// The layers, each once.
    pub layers: Vec<Descriptor>,
    /// The document and what describes it, if it is a blob of its own.
    pub config: Option<(Descriptor, Vec<u8>)>,
    /// The manifest, or the document.
    pub manifest: Vec<u8>,
    /// Its type.
    pub media_type: MediaType,
}

/// Puts the document of a build together.
#[derive(Debug, Default)]
pub struct CacheWriter {
    layers: Vec<CacheLayer>,
    chains: HashMap<(i64, Digest), usize>,
    blobs: BTreeMap<Digest, Descriptor>,
    records: Vec<CacheRecord>,
    by_key: HashMap<Key, usize>,
}

impl CacheWriter {
    /// Adds a step. Its inputs come before it. One whose key is known already is passed over.
    pub fn add(&mut self, step: &Step<'_>) {
        let layer = step.result.and_then(|layers| self.chain(layers));
        let links = |writer: &Self| -> Vec<Vec<CacheInput>> {
            let known = step.inputs.iter().filter_map(|key| writer.by_key.get(key));
            known.map(|link| vec![CacheInput { selector: String::new(), link: *link }]).collect()
        };
        for key in step.keys {
            if self.by_key.contains_key(key) {
                continue;
            }
            let results = layer
                .iter()
                .map(|layer| CacheResult { layer: *layer, created_at: step.created.clone() });
            let record = CacheRecord {
                results: results.collect(),
                chains: Vec::new(),
                digest: key_digest(key).to_string(),
                inputs: links(self),
                gantry: step.facts.clone(),
            };
            self.by_key.insert(*key, self.records.len());
            self.records.push(record);
        }
    }

    /// Returns the place of the uppermost of these layers, adding those that are new.
    fn chain(&mut self, layers: &[Descriptor]) -> Option<usize> {
        let mut top: Option<usize> = None;
        for layer in layers {
            let parent = top.map_or(-1, |top| i64::try_from(top).unwrap_or(i64::MAX));
            self.blobs.entry(layer.digest).or_insert_with(|| layer.clone());
            let place = *self.chains.entry((parent, layer.digest)).or_insert_with(|| {
                self.layers.push(CacheLayer { blob: layer.digest, parent, annotations: None });
                self.layers.len() - 1
            });
            top = Some(place);
        }
        top
    }

    /// Sorts it all, so that a cache of the same steps has the same digest.
    fn sorted(self) -> (CacheConfig, BTreeMap<Digest, Descriptor>) {
        let mut layers: Vec<usize> = (0..self.layers.len()).collect();
        layers.sort_by_key(|old| (self.layers[*old].blob.to_string(), self.layers[*old].parent));
        let new_layer = inverse(&layers);
        let moved = |old: i64| match usize::try_from(old) {
            Ok(old) => i64::try_from(new_layer[old]).unwrap_or(i64::MAX),
            Err(_) => -1,
        };
        let mut records: Vec<usize> = (0..self.records.len()).collect();
        records.sort_by(|a, b| self.records[*a].digest.cmp(&self.records[*b].digest));
        let new_record = inverse(&records);
        let config = CacheConfig {
            layers: layers
                .iter()
                .map(|old| &self.layers[*old])
                .map(|layer| CacheLayer { parent: moved(layer.parent), ..layer.clone() })
                .collect(),
            records: records
                .iter()
                .map(|old| {
                    let mut record = self.records[*old].clone();
                    record.results.iter_mut().for_each(|r| r.layer = new_layer[r.layer]);
                    record.inputs.iter_mut().flatten().for_each(|i| i.link = new_record[i.link]);
                    record
                })
                .collect(),
        };
        (config, self.blobs)
    }

    /// Returns the records of an inline cache: their layers are those of the image, counted from
    /// the lowest. Results that are no part of it are left out.
    pub fn inline(self, image: &[Descriptor]) -> Vec<u8> {
        let (config, _) = self.sorted();
        let place = |top: usize| -> Option<usize> {
            let mut chain = Vec::new();
            let mut next = i64::try_from(top).ok();
            while let Some(at) = next.and_then(|at| usize::try_from(at).ok()) {
                let layer = config.layers.get(at)?;
                chain.push(layer.blob);
                next = Some(layer.parent);
            }
            let below = image.iter().take(chain.len()).map(|layer| layer.digest);
            below.eq(chain.iter().rev().copied()).then(|| chain.len() - 1)
        };
        let mut records = config.records.clone();
        for record in &mut records {
            record.results = std::mem::take(&mut record.results)
                .into_iter()
                .filter_map(|result| Some(CacheResult { layer: place(result.layer)?, ..result }))
                .collect();
        }
        to_go_vec(&records, false)
    }

    /// Writes document and manifest.
    pub fn finish(self, form: Form) -> Written {
        let docker = matches!(form, Form::Index { docker: true } | Form::Document { docker: true });
        let (mut config, blobs) = self.sorted();
        let mut layers: Vec<Descriptor> = Vec::new();
        for layer in &config.layers {
            let Some(described) = blobs.get(&layer.blob) else { continue };
            if layers.last().is_none_or(|last| last.digest != layer.blob) {
                let mut described = described.clone();
                let compression = described.media_type.layer_compression();
                if let Some(kind) = compression.and_then(|c| MediaType::layer(c, docker)) {
                    described.media_type = kind;
                }
                layers.push(described);
            }
        }
        let kind = MediaType::Other(CACHE_CONFIG.to_owned());
        if let Form::Document { .. } = form {
            for layer in &mut config.layers {
                let described = layers.iter().find(|described| described.digest == layer.blob);
                layer.annotations = described.map(annotations);
            }
            let manifest = to_go_vec(&config, false);
            return Written { layers, config: None, manifest, media_type: kind };
        }
        let bytes = to_go_vec(&config, false);
        let described = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        let (manifest, media_type) = match form {
            Form::ImageManifest => {
                let manifest = ImageManifest::new(described.clone(), layers.clone(), false);
                (to_go_vec(&manifest, false), MediaType::OciManifest)
            }
            Form::Index { .. } | Form::Document { .. } => {
                let listed = layers.iter().cloned().chain([described.clone()]).collect();
                let index = ImageIndex::new(listed, docker);
                let kind = if docker { MediaType::DockerList } else { MediaType::OciIndex };
                (to_go_vec(&index, false), kind)
            }
        };
        Written { layers, config: Some((described, bytes)), manifest, media_type }
    }
}

/// What a descriptor says, in the words of a document.
fn annotations(blob: &Descriptor) -> LayerAnnotations {
    let annotation = |name| blob.annotations.get(name).map(String::as_str);
    LayerAnnotations {
        media_type: blob.media_type.as_str().to_owned(),
        diff_id: annotation(UNCOMPRESSED).unwrap_or_default().to_owned(),
        size: i64::try_from(blob.size).unwrap_or(i64::MAX),
        created_at: annotation(CREATED).and_then(|text| serde_json::from_value(text.into()).ok()),
    }
}

/// For each old place the new one.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut places = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        places[*old] = new;
    }
    places
}
