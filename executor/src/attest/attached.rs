//! Statements beside an image: a manifest of their own, which the image's index lists as one for the
//! platform `unknown/unknown`, so that nobody runs it
//! (`docs/attestations/attestation-storage.md` of BuildKit).

use gantry_image::{Descriptor, Digest, ImageManifest, MediaType, Platform, Raw};
use serde::Serialize;

use super::{Predicate, Subject};

/// Says that a manifest of an index is one of attestations.
const TYPE: &str = "vnd.docker.reference.type";
/// Says which image they are about.
const DIGEST: &str = "vnd.docker.reference.digest";
/// What a blob says.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// What a manifest is that is an artifact.
const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";

/// The statements about one image.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) manifest: Raw<ImageManifest>,
    /// Config and statements, which the manifest names.
    pub(crate) blobs: Vec<Extra>,
    /// Its entry in the index.
    pub(crate) entry: Descriptor,
}

/// A blob and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Vec<u8>,
}

impl Extra {
    fn new(kind: MediaType, bytes: Vec<u8>) -> Self {
        let descriptor = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        Self { descriptor, bytes }
    }
}

/// A config that says nothing but that there is no image.
#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    os: &'a str,
    config: Empty,
    rootfs: RootFs,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<Digest>,
}

impl Attached {
    /// Makes statements about an image, and the manifest that holds them.
    pub(crate) fn new(
        predicates: &[Predicate],
        image: &Descriptor,
        subjects: &[Subject],
        artifact: bool,
    ) -> Self {
        let mut blobs = Vec::new();
        for predicate in predicates {
            let mut blob = Extra::new(MediaType::InToto, predicate.statement(subjects, false));
            blob.descriptor = blob.descriptor.annotate(PREDICATE, predicate.kind.clone());
            blobs.push(blob);
        }
        let layers: Vec<Descriptor> = blobs.iter().map(|blob| blob.descriptor.clone()).collect();
        let config = match artifact {
            true => Extra::new(MediaType::OciEmpty, b"{}".to_vec()),
            false => {
                let config = Config {
                    architecture: "unknown",
                    os: "unknown",
                    config: Empty {},
                    rootfs: RootFs {
                        kind: "layers",
                        diff_ids: layers.iter().map(|layer| layer.digest).collect(),
                    },
                };
                Extra::new(MediaType::OciConfig, gantry_image::json::to_go_vec(&config, false))
            }
        };
        let mut manifest = ImageManifest::new(config.descriptor.clone(), layers, false);
        if artifact {
            manifest.artifact_type = Some(ARTIFACT.to_owned());
            let about = Descriptor::new(image.media_type.clone(), image.digest, image.size);
            manifest.subject = Some(about);
        }
        let manifest = Raw::write(manifest);
        let mut entry = Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size())
            .annotate(DIGEST, image.digest.to_string())
            .annotate(TYPE, "attestation-manifest");
        entry.platform = Some(Platform {
            os: "unknown".to_owned(),
            architecture: "unknown".to_owned(),
            ..Platform::default()
        });
        blobs.push(config);
        Self { manifest, blobs, entry }
    }
}
