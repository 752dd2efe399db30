//! A cache that was found: its steps by key, with their layers described and none of them read.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_image::{
    DateTime, Descriptor, DiffId, Digest, ImageConfig, ImageIndex, ImageManifest, MediaType, Raw,
};
use serde_json::Value;

use super::config::{
    CACHE_CONFIG, CacheConfig, CacheLayer, CacheRecord, INLINE_CACHE, UNCOMPRESSED,
};
use super::{Found, RemoteCache, RemoteError, key_digest};
use crate::Key;

/// No document comes near this, and no image config.
const LIMIT: u64 = 32 << 20;

/// More layers than any root filesystem can have here.
const DEEPEST: usize = 4096;

/// A layer of a cache.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteLayer {
    /// Its blob.
    pub blob: Descriptor,
    /// The tar in it, as the cache says.
    pub diff_id: DiffId,
}

/// What a cache knows of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteStep {
    /// The layers that it was made upon, lowest first.
    pub base: Vec<RemoteLayer>,
    /// The layers that it made itself, lowest first.
    pub own: Vec<RemoteLayer>,
    /// Whether its own layers hold on any base.
    pub any_base: bool,
    /// Its content key.
    pub content_key: Key,
    /// How long it took.
    pub took: Duration,
    /// The stage that it is part of.
    pub stage: String,
    /// Its place in there.
    pub position: u32,
    /// The instruction.
    pub text: String,
}

/// A cache, opened. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Imported {
    cache: Arc<dyn RemoteCache>,
    documents: Arc<Vec<Document>>,
}

#[derive(Debug)]
struct Document {
    config: CacheConfig,
    layers: HashMap<Digest, RemoteLayer>,
    by_digest: HashMap<String, usize>,
}

impl Imported {
    /// Reads the documents of a cache: one of its own, or those inline in the configs of images.
    /// Returns `None` if there is no cache at that place.
    ///
    /// # Errors
    /// It can't be read, or is none.
    pub fn open(cache: Arc<dyn RemoteCache>) -> Result<Option<Self>, RemoteError> {
        let found = cache.found()?;
        if found.is_empty() {
            return Ok(None);
        }
        let reader = Reader { cache: &*cache };
        let mut documents = Vec::new();
        for found in found {
            match found {
                Found::Manifest(bytes) => documents.extend(reader.documents(bytes, 0)?),
                Found::Document(bytes) => documents.push(reader.alone(&bytes)?),
            }
        }
        if documents.is_empty() {
            let why = "it has neither a cache of its own nor one inside of an image".to_owned();
            return Err(RemoteError::Invalid { place: cache.place(), why });
        }
        Ok(Some(Self { cache, documents: Arc::new(documents) }))
    }

    /// Where its layers can be read.
    pub fn cache(&self) -> &Arc<dyn RemoteCache> {
        &self.cache
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.documents.iter().map(|document| document.config.records.len()).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks a step up.
    pub fn find(&self, key: &Key) -> Option<RemoteStep> {
        let digest = key_digest(key).to_string();
        self.documents.iter().find_map(|document| document.find(&digest))
    }
}

impl Document {
    fn new(config: CacheConfig, layers: HashMap<Digest, RemoteLayer>) -> Self {
        let places = config.records.iter().enumerate();
        let by_digest = places.map(|(place, record)| (record.digest.clone(), place)).collect();
        Self { config, layers, by_digest }
    }

    fn find(&self, digest: &str) -> Option<RemoteStep> {
        let record = self.config.records.get(*self.by_digest.get(digest)?)?;
        let facts = record.gantry.as_ref()?;
        let mut layers = self.result(record)?;
        let own = layers.split_off(layers.len().checked_sub(facts.own)?);
        Some(RemoteStep {
            base: layers,
            own,
            any_base: facts.any_base,
            content_key: facts.content_key.parse().ok()?,
            took: Duration::from_millis(facts.took),
            stage: facts.stage.clone(),
            position: facts.position,
            text: facts.text.clone(),
        })
    }

    /// The root filesystem that a step gave; an empty one has no layers and no result.
    fn result(&self, record: &CacheRecord) -> Option<Vec<RemoteLayer>> {
        let by_time = |at: &Option<DateTime>| at.as_ref().and_then(DateTime::unix);
        let newest = record.results.iter().max_by_key(|result| by_time(&result.created_at));
        let places = match (newest, record.chains.first()) {
            (Some(result), _) => chain(&self.config.layers, result.layer)?,
            (None, Some(chained)) => chained.layers.clone(),
            (None, None) => return None,
        };
        let layer = |place: &usize| self.layers.get(&self.config.layers.get(*place)?.blob).cloned();
        places.iter().map(layer).collect()
    }
}

/// The places of a layer and of those below it, lowest first; `None` if they make no sense.
fn chain(layers: &[CacheLayer], top: usize) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    let mut next = Some(top);
    while let Some(at) = next {
        if places.len() > DEEPEST {
            return None;
        }
        places.push(at);
        let parent = layers.get(at)?.parent;
        next = match parent {
            -1 => None,
            parent => Some(usize::try_from(parent).ok()?),
        };
    }
    places.reverse();
    Some(places)
}

struct Reader<'a> {
    cache: &'a dyn RemoteCache,
}

impl Reader<'_> {
    fn invalid(&self, why: impl ToString) -> RemoteError {
        RemoteError::Invalid { place: self.cache.place(), why: why.to_string() }
    }

    fn documents(&self, manifest: Vec<u8>, depth: usize) -> Result<Vec<Document>, RemoteError> {
        let shape: Value = serde_json::from_slice(&manifest).map_err(|e| self.invalid(e))?;
        if shape.get("manifests").is_some() {
            return self.of_index(&manifest, depth);
        }
        let manifest =
            Raw::<ImageManifest>::parse(manifest).map_err(|e| self.invalid(chain_of(e)))?;
        match manifest.config.media_type.as_str() == CACHE_CONFIG {
            true => Ok(vec![self.own(&manifest.config, &manifest.layers)?]),
            false => Ok(self.inline(&manifest)?.into_iter().collect()),
        }
    }

    fn of_index(&self, bytes: &[u8], depth: usize) -> Result<Vec<Document>, RemoteError> {
        let index = Raw::<ImageIndex>::parse(bytes).map_err(|e| self.invalid(chain_of(e)))?;
        let is_config = |listed: &&Descriptor| listed.media_type.as_str() == CACHE_CONFIG;
        if let Some(config) = index.manifests.iter().find(is_config) {
            return Ok(vec![self.own(config, &index.manifests)?]);
        }
        if depth > 2 {
            return Err(self.invalid("its indexes lie too deep"));
        }
        let mut documents = Vec::new();
        let mut seen = HashSet::new();
        for listed in index.manifests.iter().filter(|listed| !listed.is_attestation()) {
            let kind = &listed.media_type;
            if (kind.is_manifest() || kind.is_index()) && seen.insert(listed.digest) {
                documents.extend(self.documents(self.bytes(listed)?, depth + 1)?);
            }
        }
        Ok(documents)
    }

    /// A document without a manifest. A layer that it doesn't describe is no hit.
    fn alone(&self, bytes: &[u8]) -> Result<Document, RemoteError> {
        let config: CacheConfig = serde_json::from_slice(bytes).map_err(|e| self.invalid(e))?;
        let described = config.layers.iter().filter_map(|layer| {
            let known = layer.annotations.as_ref()?;
            let kind = MediaType::new(&known.media_type);
            let size = u64::try_from(known.size).ok()?;
            let blob = Descriptor::new(kind, layer.blob, size);
            let diff_id = DiffId(known.diff_id.parse().ok()?);
            blob.media_type.is_layer().then_some((layer.blob, RemoteLayer { blob, diff_id }))
        });
        let layers = described.collect();
        Ok(Document::new(config, layers))
    }

    /// A cache of its own.
    fn own(&self, config: &Descriptor, layers: &[Descriptor]) -> Result<Document, RemoteError> {
        let config: CacheConfig =
            serde_json::from_slice(&self.bytes(config)?).map_err(|e| self.invalid(e))?;
        let described: Vec<Descriptor> =
            layers.iter().filter(|layer| layer.media_type.is_layer()).cloned().collect();
        // What is known to be lost is no hit; elsewhere that shows when it is needed.
        let missing: HashSet<Digest> = match self.cache.is_near() {
            true => self.cache.missing(&described)?.into_iter().collect(),
            false => HashSet::new(),
        };
        let known = described.into_iter().filter(|layer| !missing.contains(&layer.digest));
        let layers = known.filter_map(|blob| {
            let uncompressed =
                matches!(blob.media_type, MediaType::OciLayer | MediaType::DockerLayer);
            let diff_id = match blob.annotations.get(UNCOMPRESSED) {
                Some(text) => text.parse().ok()?,
                None if uncompressed => blob.digest,
                None => return None,
            };
            Some((blob.digest, RemoteLayer { blob, diff_id: DiffId(diff_id) }))
        });
        Ok(Document::new(config, layers.collect()))
    }

    /// The cache inside of an image, if it has one.
    fn inline(&self, manifest: &ImageManifest) -> Result<Option<Document>, RemoteError> {
        if !manifest.config.media_type.is_config() {
            return Ok(None);
        }
        let config = self.bytes(&manifest.config)?;
        let config = Raw::<ImageConfig>::parse(config).map_err(|e| self.invalid(chain_of(e)))?;
        let Some(text) = config.extra.get(INLINE_CACHE).and_then(Value::as_str) else {
            return Ok(None);
        };
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(self.invalid("the image has other layers than its config says"));
        }
        let records = STANDARD.decode(text).map_err(|e| self.invalid(e))?;
        let records = serde_json::from_slice(&records).map_err(|e| self.invalid(e))?;
        let blobs = manifest.layers.iter();
        let layers = blobs.clone().enumerate().map(|(place, layer)| CacheLayer {
            blob: layer.digest,
            parent: i64::try_from(place).unwrap_or(i64::MAX) - 1,
            annotations: None,
        });
        let described = blobs.zip(&config.rootfs.diff_ids).map(|(blob, diff_id)| {
            (blob.digest, RemoteLayer { blob: blob.clone(), diff_id: *diff_id })
        });
        let config = CacheConfig { layers: layers.collect(), records };
        Ok(Some(Document::new(config, described.collect())))
    }

    /// Reads a small blob, checked against its digest.
    fn bytes(&self, blob: &Descriptor) -> Result<Vec<u8>, RemoteError> {
        let what = || format!("read `{}` of {}", blob.digest, self.cache.place());
        if blob.size > LIMIT {
            return Err(self.invalid(format!("`{}` has {} bytes", blob.digest, blob.size)));
        }
        let mut bytes = Vec::new();
        let reader = self.cache.read(blob)?;
        reader.take(LIMIT + 1).read_to_end(&mut bytes).map_err(RemoteError::io(what()))?;
        let actual = Digest::of(&bytes);
        if actual != blob.digest {
            let place = self.cache.place();
            return Err(RemoteError::Digest { place, expected: blob.digest, actual });
        }
        Ok(bytes)
    }
}

fn chain_of(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
