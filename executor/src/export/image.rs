//! The image: config, history and layers put together, and the same image for the same build.
//!
//! A config holds the time at which it was made, so making it anew would give every rebuild another
//! image ID. What a build is made of (layers, config, history; not times, not names) is therefore
//! the key of a record that holds the config and manifest as they were written the first time. A
//! rebuild finds them, needs no diff ID, and has the same image ID, also after `rmi` (A5-15).

use std::time::{Duration, UNIX_EPOCH};

use gantry_cache::{Key, LayerId, NewImage, NewRecord, Store};
use gantry_image::{DateTime, Descriptor, Digest, ImageConfig, ImageManifest, MediaType, Raw};

use super::layers::ImageLayer;
use super::recipe::Recipe;
use super::{ExportError, compress};
use crate::image_options::AnnotationPlace;
use crate::several::each;

/// How many layers are compressed at once, each of them on all processors.
const COMPRESSED_AT_ONCE: usize = 2;

/// An image that is in the store, and how its layers come to their diff IDs.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) config: Raw<ImageConfig>,
    pub(crate) manifest: Raw<ImageManifest>,
    pub(crate) layers: Vec<ImageLayer>,
    /// Annotations of its entry in an index.
    pub(crate) annotations: Vec<(String, String)>,
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
    // Another build of the same may be at it: it says when the image was made, for both.
    let _one = store.lock("image", &key.0)?;
    if let Some(found) = find(store, recipe, &key)? {
        return Ok(found);
    }
    let layers = recipe.image_layers(store)?;
    let config = Raw::write(recipe.config(&layers));
    let manifest = Raw::write(manifest(store, recipe, &config, &layers)?);
    let annotations = of_entry(recipe);
    let assembled = Assembled { config, manifest, layers, annotations, reused: false };
    put(store, recipe, &assembled)?;
    store.records().put(&NewRecord::of_no_step(key, &recipe.layers, &encode(&assembled)))?;
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
    let described = manifest.layers.iter().zip(&config.rootfs.diff_ids);
    for ((layer, diff_id), id) in described.zip(&recipe.layers) {
        // Compressed layers are not kept for ever; they are made again, and are the same.
        if layer.digest != diff_id.0 && !can_be_had(store, id, &layer.digest)? {
            return Ok(None);
        }
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
    let annotations = of_entry(recipe);
    let assembled = Assembled { config, manifest, layers, annotations, reused };
    if !reused {
        put(store, recipe, &assembled)?;
    }
    Ok(Some(assembled))
}

/// Says whether a layer's blob is here, or in a registry from which it would come.
fn can_be_had(store: &Store, id: &LayerId, digest: &Digest) -> Result<bool, ExportError> {
    if store.blobs().size(digest)?.is_some() {
        return Ok(true);
    }
    let layer = store.layers().get(id)?;
    Ok(layer.is_some_and(|layer| layer.forms.remote.iter().any(|form| form.blob.digest == *digest)))
}

fn of_entry(recipe: &Recipe<'_>) -> Vec<(String, String)> {
    let place = AnnotationPlace::ManifestDescriptor;
    recipe.options.annotations_of(place, Some(recipe.platform)).collect()
}

fn put(store: &Store, recipe: &Recipe<'_>, image: &Assembled) -> Result<(), ExportError> {
    store.blobs().put(image.config.bytes())?;
    store.blobs().put(image.manifest.bytes())?;
    let mut size = 0;
    for layer in &image.layers {
        // Of one that nobody has unpacked yet, its tar tells best.
        size += store.layers().require(&layer.id)?.size.unwrap_or(layer.size);
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

/// Unless asked otherwise, layers are described uncompressed: the digest is the diff ID.
/// Compressing is for a push.
fn manifest(
    store: &Store,
    recipe: &Recipe<'_>,
    config: &Raw<ImageConfig>,
    layers: &[ImageLayer],
) -> Result<ImageManifest, ExportError> {
    let options = recipe.options;
    let numbered: Vec<(usize, &ImageLayer)> = layers.iter().enumerate().collect();
    // While the last blocks of one are compressed, the next is read.
    let layers = each(
        &numbered,
        COMPRESSED_AT_ONCE,
        |(_, layer)| layer.id,
        |(number, layer)| {
            compress::descriptor(store, layer, *number < recipe.base_layers(), options)
        },
    )?;
    let kind = match options.docker_types {
        true => MediaType::DockerConfig,
        false => MediaType::OciConfig,
    };
    let config = Descriptor::new(kind, config.digest(), config.size());
    let annotations = options.annotations_of(AnnotationPlace::Manifest, Some(recipe.platform));
    Ok(ImageManifest {
        annotations: recipe.said.iter().cloned().chain(annotations).collect(),
        ..ImageManifest::new(config, layers, options.docker_types)
    })
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
