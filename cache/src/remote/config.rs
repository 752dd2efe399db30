//! The document `application/vnd.buildkit.cacheconfig.v0`, field by field as BuildKit has it.
//!
//! Fields and their order are those of Go's structs in BuildKit's `cache/remotecache/v1/spec.go`;
//! like there, a parent 0 is left out and -1 says that there is none. `gantry` is the one field of
//! our own; BuildKit passes over it.

use gantry_image::{DateTime, Digest};
use serde::{Deserialize, Deserializer, Serialize};

/// The media type of the document.
pub const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

/// The field of an image's config that holds the records of an inline cache, in base64.
pub const INLINE_CACHE: &str = "moby.buildkit.cache.v0";

/// The annotation that says which tar is in a layer.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// The annotation that says when a layer was made.
pub const CREATED: &str = "buildkit/createdat";

/// A cache: its layers, and which step gave which of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheConfig {
    /// The layers, sorted by digest.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<CacheLayer>,
    /// The steps, sorted by digest.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<CacheRecord>,
}

/// A layer on top of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CacheLayer {
    /// Its blob.
    pub blob: Digest,
    /// The place of the layer below in the list; -1 if there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parent: i64,
    /// What a document without a manifest says of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<LayerAnnotations>,
}

/// What is said of a blob where no manifest describes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerAnnotations {
    /// Its media type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The digest of its tar.
    #[serde(default, rename = "diffID", skip_serializing_if = "String::is_empty")]
    pub diff_id: String,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: i64,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime>,
}

/// A step: what it is known by, what it is made from, what it gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// Its results: whole root filesystems, by their uppermost layer.
    #[serde(
        default,
        rename = "layers",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub results: Vec<CacheResult>,
    /// Results as lists of layers.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<ChainedResult>,
    /// What it is known by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// For each input the records that may stand for it.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Vec<CacheInput>>,
    /// What only gantry knows of a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gantry: Option<StepFacts>,
}

/// A result by its uppermost layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheResult {
    /// The place of the layer in the list.
    pub layer: usize,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime>,
}

/// A result by all of its layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainedResult {
    /// The places of the layers in the list, lowest first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<usize>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime>,
}

/// A record that is an input of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CacheInput {
    /// What is taken from it, as a digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// The place of the record in the list.
    pub link: usize,
}

/// What only gantry knows of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFacts {
    /// How many of the result's layers, from the top, the step itself made.
    #[serde(default)]
    pub own: usize,
    /// The content key, in hex.
    pub content_key: String,
    /// Whether the layers hold on any base.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_base: bool,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "is_none")]
    pub took: u64,
    /// The instruction.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The stage that it is part of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// Its place in there.
    #[serde(default)]
    pub position: u32,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_none(number: &u64) -> bool {
    *number == 0
}

/// Go writes a list that was never made as `null`.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As BuildKit wrote it (`cache/remotecache/v1`), but for shorter lists.
    const WRITTEN: &str = r#"{"layers":[{"blob":"sha256:2222222222222222222222222222222222222222222222222222222222222222"},{"blob":"sha256:3333333333333333333333333333333333333333333333333333333333333333","parent":-1}],"records":[{"digest":"sha256:4444444444444444444444444444444444444444444444444444444444444444"},{"layers":[{"layer":0,"createdAt":"2024-05-01T12:00:00.5Z"}],"digest":"sha256:5555555555555555555555555555555555555555555555555555555555555555","inputs":[[{"selector":"sha256:6666","link":0}]]}]}"#;

    #[test]
    fn buildkits_document_is_read_and_written_byte_for_byte() {
        let config: CacheConfig = serde_json::from_str(WRITTEN).unwrap();
        assert_eq!(config.layers[0].parent, 0, "left out is 0");
        assert_eq!(config.layers[1].parent, -1);
        assert_eq!(config.records[1].inputs[0][0].selector, "sha256:6666");
        assert_eq!(serde_json::to_string(&config).unwrap(), WRITTEN);
    }

    #[test]
    fn lists_may_be_null_and_unknown_fields_are_passed_over() {
        let text =
            r#"{"layers":null,"records":[{"layers":null,"digest":"x","inputs":null,"new":1}]}"#;
        let config: CacheConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.records[0].digest, "x");
        assert!(config.layers.is_empty());
    }
}
