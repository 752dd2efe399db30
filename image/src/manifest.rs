//! Image manifests and descriptors, OCI's and docker's schema 2.
//!
//! Own structs and not oci-spec's: those keep annotations in a hash map, so that one manifest would
//! have many digests, and drop fields they don't know. Fields stand in the order of Go's structs,
//! and a manifest is indented as BuildKit indents it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::json::{Document, null_is_default};
use crate::media_type::MediaType;
use crate::platform::Platform;

/// Names a blob: what it is, its digest, its size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// Where a foreign layer can be fetched.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Names and values.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// The blob itself in base64; kept, never trusted instead of fetching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// In an index: what the manifest's image runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What an artifact's manifest holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Fields that gantry doesn't know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Descriptor {
    /// Describes a blob and no more.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
            extra: BTreeMap::new(),
        }
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotate(mut self, name: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    /// Does it name an attestation manifest (E-10), which is never run or listed?
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.annotations
            .get("vnd.docker.reference.type")
            .is_some_and(|kind| kind == "attestation-manifest")
            || self.platform.as_ref().is_some_and(Platform::is_unknown)
    }

    /// Returns the digest of the manifest that an attestation of an index is about, if it says so.
    #[must_use]
    pub fn attested(&self) -> Option<Digest> {
        self.annotations.get("vnd.docker.reference.digest")?.parse().ok()
    }
}

/// An image: its config and its layers, lowest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or docker's; absent in early OCI manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What an artifact holds that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers' blobs, lowest first.
    #[serde(deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// What an attestation is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Names and values.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that gantry doesn't know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl ImageManifest {
    /// Makes a manifest; docker's media types if `docker`, else OCI's.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>, docker: bool) -> Self {
        let media_type = if docker { MediaType::DockerManifest } else { MediaType::OciManifest };
        Self {
            schema_version: 2,
            media_type: Some(media_type),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Returns the media type that this manifest goes by.
    #[must_use]
    pub fn media_type(&self) -> MediaType {
        let plain = match self.config.media_type {
            MediaType::DockerConfig => MediaType::DockerManifest,
            _ => MediaType::OciManifest,
        };
        self.media_type.clone().unwrap_or(plain)
    }
}

impl Document for ImageManifest {
    const WHAT: &'static str = "the manifest";
    const LIMIT: u64 = 4 << 20;
    const PRETTY: bool = true;

    fn check(&self) -> Result<(), String> {
        check_kind(
            self.schema_version,
            self.media_type.as_ref(),
            &self.extra,
            MediaType::is_manifest,
            &["manifests", "fsLayers"],
        )
    }
}

/// Refuses what another reader could take for something else (CVE-2021-41190): a foreign media type,
/// or the fields of the other kind.
pub(crate) fn check_kind(
    version: u32,
    media_type: Option<&MediaType>,
    extra: &BTreeMap<String, Value>,
    right: fn(&MediaType) -> bool,
    foreign: &[&str],
) -> Result<(), String> {
    if version == 1 || media_type.is_some_and(MediaType::is_schema1) {
        return Err(
            "schema 1 is no longer read; push the image again with a current tool".to_owned()
        );
    }
    if version != 2 {
        return Err(format!("its `schemaVersion` is {version} and not 2"));
    }
    if let Some(wrong) = media_type.filter(|media_type| !right(media_type)) {
        return Err(format!("its `mediaType` is `{wrong}`"));
    }
    foreign.iter().find(|field| extra.contains_key(**field)).map_or(Ok(()), |field| {
        Err(format!("it also has the field `{field}`, so that it could be read as two things"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;

    fn config() -> Descriptor {
        Descriptor::new(MediaType::OciConfig, Digest::of(b"{}"), 2)
    }

    #[test]
    fn a_manifest_is_written_as_buildkit_does() {
        let layer = Descriptor::new(MediaType::OciLayerGzip, Digest::of(b""), 0).annotate("k", "v");
        let raw = Raw::write(ImageManifest::new(config(), vec![layer], false));
        let text = String::from_utf8(raw.bytes().to_vec()).unwrap();
        assert!(text.starts_with("{\n  \"schemaVersion\": 2,\n  \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n  \"config\": {\n    \"mediaType\": \"application/vnd.oci.image.config.v1+json\",\n    \"digest\": \"sha256:44136"), "{text}");
        let again: Raw<ImageManifest> = Raw::parse(raw.bytes()).unwrap();
        assert_eq!(again.value(), raw.value());
    }

    #[test]
    fn a_manifest_that_could_be_an_index_is_refused() {
        let good = ImageManifest::new(config(), vec![], false);
        for (field, value) in [
            ("manifests", serde_json::json!([])),
            ("schemaVersion", 1.into()),
            ("schemaVersion", 3.into()),
            ("mediaType", MediaType::OciIndex.as_str().into()),
            ("mediaType", MediaType::DockerSchema1Signed.as_str().into()),
            ("fsLayers", serde_json::json!([])),
        ] {
            let mut json = serde_json::to_value(&good).unwrap();
            json[field] = value;
            let parsed = Raw::<ImageManifest>::parse(json.to_string().into_bytes());
            assert!(
                matches!(parsed, Err(crate::ParseJsonError::Refused { .. })),
                "{field}: {parsed:?}"
            );
        }
    }
}
