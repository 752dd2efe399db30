//! The registry client against Debian's `docker-registry`, and against servers of our own that lie.

mod cutter;
mod elsewhere;
mod fake;
mod keeping;
mod login;
mod lying;
mod plain;
mod protocol;
mod server;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use gantry_image::registry::{Client, Manifest, Repository, Retry, Settings, Target};
use gantry_image::{Descriptor, Digest, ImageManifest, MediaType, Raw, Reference};

/// Settings that lose no time.
pub(crate) fn quick() -> Settings {
    Settings {
        retry: Retry { first: Duration::from_millis(10), ..Retry::default() },
        silence: Duration::from_secs(20),
        ..Settings::default()
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn repository(client: &Client, registry: &str, path: &str) -> Repository {
    client.repository(&format!("{registry}/{path}").parse::<Reference>().unwrap())
}

/// Bytes that compress badly and are nowhere alike.
pub(crate) fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]);
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn described(bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OciLayerGzip, Digest::of(bytes), bytes.len() as u64)
}

/// Pushes an image of one layer, children first.
pub(crate) async fn push_image(repository: &Repository, layer: &[u8], tags: &[&str]) -> Digest {
    let config = b"{}".to_vec();
    let config_descriptor =
        Descriptor::new(MediaType::OciConfig, Digest::of(&config), config.len() as u64);
    repository.push_blob(&config_descriptor, Arc::new(config), None).await.unwrap();
    let layer_descriptor = described(layer);
    repository.push_blob(&layer_descriptor, Arc::new(layer.to_vec()), None).await.unwrap();
    let manifest = Raw::write(ImageManifest::new(config_descriptor, vec![layer_descriptor], false));
    let media_type = MediaType::OciManifest;
    repository.push_manifest(&media_type, manifest.bytes(), tags).await.unwrap()
}

/// Pulls an image whole, and returns its manifest and its first layer.
pub(crate) async fn pull_image(repository: &Repository, tag: &str) -> (Manifest, Vec<u8>) {
    let manifest = repository.manifest(&Target::Tag(tag.to_owned())).await.unwrap();
    let image = manifest.image().unwrap();
    let layer = repository.blob_bytes(&image.layers[0], 1 << 30).await.unwrap();
    (manifest, layer)
}
