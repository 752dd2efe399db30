//! What lowering asks of the world: which image does a name stand for?

use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use gantry_image::{ImageConfig, Platform};

use crate::{
    op::{GitOp, HttpOp},
    store::LayerRef,
};

/// A boxed future, so that [`Resolve`] can be used as `&dyn Resolve`. An implementation that
/// answers from the local store may block for the few microseconds that it takes; one that talks
/// to a registry awaits.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Resolves names of images. Lowering asks for several at once, and for each request once.
pub trait Resolve: Send + Sync {
    /// Returns the image that `request` names, for its platform.
    ///
    /// # Errors
    /// [`ResolveError`] if there is no such image, or it isn't there for the platform.
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>>;

    /// Returns the time of a source in seconds since 1970: that of the commit; of the last change,
    /// as the server tells it; else of the newest file in the archive that the server sends.
    /// `None` if it has none, which is what a directory has, and whoever fetches nothing says.
    ///
    /// # Errors
    /// [`ResolveError`] if the source can't be had.
    fn time<'a>(&'a self, source: &'a Dated) -> BoxFuture<'a, Result<Option<i64>, ResolveError>> {
        let _ = source;
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// What may have a time of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dated {
    /// The build context.
    Context,
    /// A commit.
    Git(GitOp),
    /// A file behind an address.
    Http(HttpOp),
}

/// Which image is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRequest {
    /// Its name.
    pub name: ImageName,
    /// For which platform.
    pub platform: Platform,
}

/// How an image is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageName {
    /// A reference as written in `FROM`, `--from` or after `docker-image://`.
    Reference(String),
    /// An image in an OCI layout: what follows `oci-layout://`, such as `/path:tag@sha256:…`.
    OciLayout(String),
}

impl ImageName {
    /// Returns the name as people write it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            ImageName::Reference(text) | ImageName::OciLayout(text) => text,
        }
    }
}

/// An image that was found.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// Its canonical reference, such as `docker.io/library/alpine:3.20@sha256:…`. For titles.
    pub reference: String,
    /// Digest of its config (`sha256:…`): the image's identity.
    pub config_digest: String,
    /// Its config.
    pub config: Arc<ImageConfig>,
    /// Its layers in the store, lowest first.
    pub layers: Vec<LayerRef>,
}

/// An image can't be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    /// What failed, without the image's name in front.
    pub message: String,
    /// Why it failed.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
    /// What to do about it.
    pub hint: Option<String>,
}
