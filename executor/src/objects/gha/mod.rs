//! A build cache in the cache service of GitHub Actions: `type=gha`.
//!
//! ```text
//! token      which scopes a job may read and write
//! service    the service's API, in both of its versions
//! azure      bytes of entries where the second version keeps them
//! cache      the cache: keys, documents, layers
//! ```
//!
//! An entry never changes, and its key can't be taken twice. Keys are those of BuildKit's
//! `cache/remotecache/gha`: `buildkit-blob-1-<digest>` for a layer, `index-<scope>-1-<branch>#<n>` for
//! the document, where the newest one counts.

mod azure;
mod cache;
mod service;
mod token;

use std::time::Duration;

use gantry_image::registry::credentials::Secret;

pub(crate) use self::cache::GhaCache;

/// Which cache of the service, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhaPlace {
    /// The cache's name in the repository.
    pub scope: String,
    /// Address of the service.
    pub url: String,
    /// What is spoken there.
    pub version: GhaVersion,
    /// The job's token.
    pub token: Secret,
    /// For how long a service that is too busy is asked again.
    pub timeout: Duration,
}

/// What the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GhaVersion {
    /// `_apis/artifactcache`, as GitHub Enterprise Server has it.
    V1,
    /// `twirp/github.actions.results.api.v1.CacheService`.
    V2,
}
