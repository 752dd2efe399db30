//! What goes wrong when images travel.

use std::io;

use gantry_cache::StoreError;
use gantry_image::layer::LayerError;
use gantry_image::registry::{RegistryError, WebError};
use gantry_image::{DiffId, Digest, ParseJsonError, Platform};

/// An image could not be pulled or pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The registry won't give it, or doesn't have the repository (A5-24).
    #[error(
        "pull access denied for {repository}, repository does not exist or may require 'docker login'"
    )]
    PullDenied {
        /// The repository as users write it.
        repository: String,
        /// What the registry says.
        #[source]
        source: Box<RegistryError>,
    },
    /// The registry won't take it.
    #[error("denied: requested access to {repository} is denied")]
    PushDenied {
        /// The repository as users write it.
        repository: String,
        /// What the registry says.
        #[source]
        source: Box<RegistryError>,
    },
    /// The registry doesn't take the credential.
    #[error("unauthorized: incorrect username or password")]
    LoginDenied {
        /// What the registry says.
        #[source]
        source: Box<RegistryError>,
    },
    /// The repository has no such tag or digest.
    #[error("manifest for {reference} not found: manifest unknown")]
    NoManifest {
        /// What was asked for.
        reference: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// Another server failed.
    #[error(transparent)]
    Web(Box<WebError>),
    /// Nothing that runs here is among the manifests (E-09).
    #[error("no matching manifest for {wanted} in the manifest list entries")]
    NoPlatform {
        /// What was asked for.
        wanted: Box<Platform>,
        /// What there is.
        available: Vec<Platform>,
    },
    /// The single image of that name is for another platform.
    #[error(
        "image with reference {reference} was found but its platform ({actual}) does not match the specified platform ({wanted})"
    )]
    OtherPlatform {
        /// What was asked for.
        reference: String,
        /// For which platform.
        wanted: Box<Platform>,
        /// For which it is.
        actual: Box<Platform>,
    },
    /// A format that was given up long ago (E-03).
    #[error("`{reference}` is in the image format schema 1, which is not supported")]
    Schema1 {
        /// What was asked for.
        reference: String,
    },
    /// It is in the registry, and no image.
    #[error("`{reference}` is no image: its {part} has the type `{media_type}`")]
    NotAnImage {
        /// What was asked for.
        reference: String,
        /// Which part says so.
        part: &'static str,
        /// What it is.
        media_type: String,
    },
    /// Manifest and config don't fit each other.
    #[error("The manifest of `{reference}` names {layers} layers, its config {diff_ids}")]
    Inconsistent {
        /// What was asked for.
        reference: String,
        /// Layers of the manifest.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// A document can't be read.
    #[error(transparent)]
    Document(#[from] ParseJsonError),
    /// A layer's tar is broken or hostile.
    #[error("Failed to unpack the layer `{layer}`")]
    Layer {
        /// Its digest.
        layer: Digest,
        /// What is wrong.
        #[source]
        source: LayerError,
    },
    /// A layer's tar is another than the config says.
    #[error("The layer `{layer}` unpacks to diff ID `{}` instead of `{}`", actual.0, expected.0)]
    DiffId {
        /// Its digest.
        layer: Digest,
        /// What the config says.
        expected: DiffId,
        /// What it is.
        actual: DiffId,
    },
    /// A layer of the image has changed since the image was made.
    #[error("The store has no layer with the diff ID `{}` any more", .0.0)]
    LayerChanged(DiffId),
    /// Bytes could not be read or written.
    #[error("Failed to {what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A layer could not be compressed.
    #[error(transparent)]
    Export(#[from] crate::ExportError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody asked to stop.
    #[error("canceled")]
    Canceled,
    /// A thread that carried a layer died.
    #[error("A thread that carried a layer has gone")]
    Lost,
}

impl TransferError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PullDenied { source, .. }
            | Self::PushDenied { source, .. }
            | Self::Registry(source) => source.hint(),
            Self::NoPlatform { available, .. } if available.is_empty() => None,
            Self::NoPlatform { available, .. } => {
                let list: Vec<String> = available.iter().map(|p| format!("`{p}`")).collect();
                Some(format!("It is there for {}", list.join(", ")))
            }
            Self::OtherPlatform { actual, .. } => Some(format!("Ask for `--platform {actual}`")),
            Self::Schema1 { .. } => {
                Some("Push it again with docker 1.10 or newer, or with skopeo".to_owned())
            }
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }

    /// May trying once more help?
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Store(StoreError::DigestMismatch { .. }) => true,
            _ => false,
        }
    }
}

impl From<WebError> for TransferError {
    fn from(error: WebError) -> Self {
        Self::Web(Box::new(error))
    }
}

impl From<RegistryError> for TransferError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}
