//! Image indexes (OCI) and manifest lists (docker), and choosing one platform out of them.
//!
//! Own struct for the same reasons as in [`manifest`](crate::manifest).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{Document, null_is_default};
use crate::manifest::{Descriptor, check_kind};
use crate::media_type::MediaType;
use crate::platform::Platform;

/// A list of manifests, one a platform; attestations between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or docker's; absent in `index.json` of some tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What an artifact's index holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, or further indexes.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// What it is about.
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

/// No manifest of an index runs on the platform that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("No image for `{wanted}`, there is {}", list(available))]
pub struct NoPlatform {
    /// What was asked for.
    pub wanted: Box<Platform>,
    /// What there is.
    pub available: Vec<Platform>,
}

fn list(available: &[Platform]) -> String {
    if available.is_empty() {
        return "none at all".to_owned();
    }
    available.iter().map(|platform| format!("`{platform}`")).collect::<Vec<_>>().join(", ")
}

impl ImageIndex {
    /// Makes an index of manifests; docker's media type if `docker`, else OCI's.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>, docker: bool) -> Self {
        let media_type = if docker { MediaType::DockerList } else { MediaType::OciIndex };
        Self {
            schema_version: 2,
            media_type: Some(media_type),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Lists the images: without attestations and what is no manifest.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|m| m.media_type.is_manifest() && !m.is_attestation())
    }

    /// Chooses the manifest that suits `wanted` best; of equals the first. One without a platform is
    /// taken only if nothing else suits.
    ///
    /// # Errors
    /// [`NoPlatform`], which lists what there is.
    pub fn select(&self, wanted: &Platform) -> Result<&Descriptor, NoPlatform> {
        let rank = |found: &&Descriptor| match &found.platform {
            Some(platform) => wanted.rank(platform),
            None => Some(usize::MAX),
        };
        self.images().filter(|m| rank(m).is_some()).min_by_key(|m| rank(m)).ok_or_else(|| {
            NoPlatform {
                wanted: Box::new(wanted.clone()),
                available: self.images().filter_map(|m| m.platform.clone()).collect(),
            }
        })
    }
}

impl Document for ImageIndex {
    const WHAT: &'static str = "the image index";
    const LIMIT: u64 = 4 << 20;
    const PRETTY: bool = true;

    fn check(&self) -> Result<(), String> {
        check_kind(
            self.schema_version,
            self.media_type.as_ref(),
            &self.extra,
            MediaType::is_index,
            &["config", "layers", "fsLayers"],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::json::Raw;

    fn entry(platform: &str) -> Descriptor {
        let mut entry = Descriptor::new(MediaType::OciManifest, Digest::of(platform.as_bytes()), 1);
        entry.platform = match platform.split('/').collect::<Vec<_>>()[..] {
            [os, arch] => {
                Some(Platform { os: os.into(), architecture: arch.into(), ..Platform::default() })
            }
            [os, arch, variant] => Some(Platform::new(os, arch, Some(variant))),
            _ => None,
        };
        entry
    }

    #[test]
    fn the_best_platform_is_chosen_and_attestations_never() {
        let index = ImageIndex::new(
            ["unknown/unknown", "linux/arm/v6", "linux/arm/v7", "linux/amd64"].map(entry).to_vec(),
            false,
        );
        let chosen = |wanted: &str| {
            index.select(&wanted.parse().unwrap()).map(|m| m.platform.clone().unwrap().to_string())
        };
        assert_eq!(chosen("linux/arm64").unwrap(), "linux/arm/v7");
        assert_eq!(chosen("linux/arm/v6").unwrap(), "linux/arm/v6");
        assert_eq!(
            chosen("linux/s390x").unwrap_err().to_string(),
            "No image for `linux/s390x`, there is `linux/arm/v6`, `linux/arm/v7`, `linux/amd64`"
        );
    }

    #[test]
    fn an_index_that_could_be_a_manifest_is_refused() {
        let raw = Raw::write(ImageIndex::new(vec![entry("linux/amd64")], true));
        assert!(Raw::<ImageIndex>::parse(raw.bytes()).is_ok());
        let mut json: Value = serde_json::from_slice(raw.bytes()).unwrap();
        json["layers"] = serde_json::json!([]);
        assert!(Raw::<ImageIndex>::parse(json.to_string().into_bytes()).is_err());
    }
}
