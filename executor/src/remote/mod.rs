//! Caches elsewhere, as a build uses them: `--cache-from` and `--cache-to`.
//!
//! ```text
//! import    what other stores cached: looked up by key, fetched layer by layer when needed
//! export    what this build knows, written for others
//! inline    the same inside of the image's config
//! ```

mod export;
mod import;
mod inline;

use std::path::PathBuf;
use std::sync::Arc;

use gantry_cache::Store;
use gantry_cache::remote::{Form, LayoutCache, RemoteCache};
use gantry_image::{Digest, Reference};
use gantry_solver::CancelToken;

pub(crate) use export::Exporter;
pub(crate) use import::Imports;
pub(crate) use inline::inline;

use crate::image_options::ImageOptions;
use crate::objects::{GhaCache, GhaPlace, S3Cache, S3Place};
use crate::registry::{Registry, RegistryCache};

/// Where a cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// An OCI layout directory (`type=local`).
    Local {
        /// The directory.
        directory: PathBuf,
        /// Its name in `index.json`.
        tag: String,
        /// Its digest, instead of the name.
        digest: Option<Digest>,
    },
    /// A repository (`type=registry`), or an image with an inline cache.
    Registry(Reference),
    /// A bucket (`type=s3`).
    S3(Box<S3Place>),
    /// The cache service of GitHub Actions (`type=gha`).
    Gha(Box<GhaPlace>),
}

/// What places are reached by.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) store: &'a Store,
    pub(crate) registry: Option<Arc<Registry>>,
    pub(crate) cancel: &'a CancelToken,
}

/// Which steps are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheMode {
    /// Those whose layers are part of the result.
    #[default]
    Min,
    /// All of them, those of other stages too.
    Max,
}

/// A cache to be written when the build is done (`--cache-to`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTarget {
    /// Where to.
    pub place: CachePlace,
    /// Which steps.
    pub mode: CacheMode,
    /// How the manifest is written.
    pub form: Form,
    /// How layers are compressed.
    pub options: ImageOptions,
    /// Whether the build goes on if it can't be written.
    pub ignore_error: bool,
    /// Whether everything else there is removed.
    pub reset: bool,
}

impl CachePlace {
    /// What it is called in progress.
    pub fn title(&self) -> String {
        match self {
            Self::Local { directory, .. } => format!("client directory {}", directory.display()),
            Self::Registry(reference) => format!("registry {}", reference.familiar()),
            Self::S3(place) => place.title(),
            Self::Gha(place) => place.title(),
        }
    }

    /// What it is called in progress that something is written there.
    pub fn export_title(&self) -> String {
        match self {
            Self::Local { .. } | Self::Registry(_) => {
                format!("exporting cache to {}", self.title())
            }
            Self::S3(_) => "exporting cache to Amazon S3".to_owned(),
            Self::Gha(_) => "exporting to GitHub Actions Cache".to_owned(),
        }
    }

    fn open(&self, reset: bool, places: &Places<'_>) -> Arc<dyn RemoteCache> {
        // Whoever gave none has no settings: nobody's credentials, and default hosts.
        let registry = || {
            let registry = places.registry.clone();
            registry.unwrap_or_else(|| Arc::new(Registry::new(Default::default)))
        };
        let cancel = || places.cancel.clone();
        match self {
            Self::Local { directory, tag, digest } => {
                Arc::new(LayoutCache::new(directory, tag, *digest).reset(reset))
            }
            Self::Registry(reference) => {
                let (reference, store) = (reference.clone(), places.store.clone());
                Arc::new(RegistryCache::new(registry(), reference, store, cancel()))
            }
            Self::S3(place) => Arc::new(S3Cache::new(registry(), (**place).clone(), cancel())),
            Self::Gha(place) => Arc::new(GhaCache::new(registry(), (**place).clone(), cancel())),
        }
    }
}
