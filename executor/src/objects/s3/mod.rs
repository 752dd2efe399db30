//! A build cache in a bucket of S3, or of what speaks like it: `type=s3`.
//!
//! ```text
//! <prefix><manifests_prefix><name>    the document
//! <prefix><blobs_prefix><digest>      a layer
//! ```
//!
//! Names are those of BuildKit's `cache/remotecache/s3`. A blob goes in one request, or in pieces that
//! become one object at the end.

mod address;
mod cache;
mod sign;

use std::time::Duration;

use gantry_image::registry::credentials::Secret;

pub(crate) use self::cache::S3Cache;

/// Where in a bucket a cache is, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// What stands before the names of blobs.
    pub blobs: String,
    /// What stands before the names of documents.
    pub manifests: String,
    /// The names of the document: it is written under all of them, and read from the first.
    pub names: Vec<String>,
    /// A blob that is older is written anew on the server when a cache is written that names it, so
    /// that no rule of the bucket removes it.
    pub touch_refresh: Duration,
    /// Address of a service other than Amazon's.
    pub endpoint: Option<String>,
    /// The bucket is a part of the path, and not of the host's name. Only with an endpoint.
    pub path_style: bool,
    /// How many blobs are written at once.
    pub parallelism: usize,
    /// How often a request is tried.
    pub tries: Option<u32>,
    /// Who one is there; or why that isn't known, said when it is needed.
    pub keys: Result<S3Keys, String>,
}

/// An access key of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Keys {
    /// The access key's ID.
    pub id: String,
    /// The key.
    pub secret: Secret,
    /// The token of a temporary key.
    pub session: Option<Secret>,
}
