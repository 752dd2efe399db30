//! [`TreeError`]: what can go wrong with a tree on disk. Every variant names the path.

use std::io;

use crate::{ManifestError, ResolveError};

/// A file operation below a [`Root`](crate::Root) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The kernel said no; `source` says why.
    #[error("Failed to {action} `{path}`")]
    Io {
        /// What was tried, such as `open`.
        action: &'static str,
        /// On what, seen from the root (or as given, for the root itself).
        path: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file was replaced, cut or removed between listing and reading.
    #[error("`{path}` changed while it was being read")]
    Changed {
        /// Which file.
        path: String,
        /// What was seen, if the kernel said so.
        #[source]
        source: Option<io::Error>,
    },
    /// Something that is no regular file stands where one is needed.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// Which path.
        path: String,
    },
    /// An upper directory refers to other layers by overlayfs's `redirect` or `metacopy`.
    #[error("`{path}` is not complete in itself: overlayfs stored it as `{attribute}`")]
    Indirect {
        /// Which file.
        path: String,
        /// The attribute.
        attribute: String,
    },
    /// What was found or planned isn't a well-formed tree.
    #[error("The files below `{path}` do not make up a tree")]
    Malformed {
        /// Below which directory.
        path: String,
        /// What is wrong with them.
        #[source]
        source: ManifestError,
    },
    /// Following symbolic links led nowhere.
    #[error("Failed to resolve `{path}`")]
    Resolve {
        /// From which path.
        path: String,
        /// Why.
        #[source]
        source: ResolveError,
    },
}

impl TreeError {
    pub(crate) fn io(action: &'static str, path: &[u8], source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: display(path), source: source.into() }
    }

    pub(crate) fn changed(path: &[u8], source: Option<io::Error>) -> Self {
        Self::Changed { path: display(path), source }
    }

    /// Returns the kind of the kernel's answer, where there was one.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::Changed { source, .. } => source.as_ref().map(io::Error::kind),
            _ => None,
        }
    }

    /// Says whether nothing is there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == Some(io::ErrorKind::NotFound)
    }

    /// Says whether the disk or the quota is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self.kind(), Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// Writes a path for people; the root is `/`.
pub(crate) fn display(path: &[u8]) -> String {
    if path.is_empty() { "/".to_owned() } else { String::from_utf8_lossy(path).into_owned() }
}
