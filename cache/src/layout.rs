//! Where things lie below a store's root.
//!
//! ```text
//! <root>/
//! ├── gantry.db              rows about everything below; its `user_version` is the format
//! ├── reserve               given up when the disk is too full to prune
//! ├── blobs/sha256/<hex>     manifests, configs, compressed layers
//! ├── layers/<id>/           immutable; appears by a single rename
//! │   ├── manifest           the encoded tree manifest, once known
//! │   ├── tree/              the form that can be mounted as an overlay lower
//! │   ├── tar                the uncompressed layer
//! │   └── index              the mountable index of that tar
//! ├── logs/<id>              step logs, zstd
//! ├── builds/<time>-<id>     what happened in a build
//! ├── work/<pid>-<rand>/     one process's upper directories, lease files and half-made things
//! │   └── owner              locked as long as that process lives
//! ├── contexts/<id>          context index
//! ├── mounts/<id>/<n>/       cache mounts
//! └── locks/<kind>-<hash>    advisory locks
//! ```

use std::path::{Path, PathBuf};

use gantry_image::Digest;

use crate::{LayerId, LogId};

/// Names the paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// The directories that a store has, in the order in which they are made.
pub(crate) const DIRECTORIES: [&str; 9] =
    ["blobs", "blobs/sha256", "layers", "logs", "builds", "work", "contexts", "mounts", "locks"];

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_path_buf() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("gantry.db")
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Where the blob with this digest, as the database writes it, lies.
    pub(crate) fn blob_named(&self, digest: &str) -> PathBuf {
        self.blobs().join(digest.strip_prefix("sha256:").unwrap_or(digest))
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn layer(&self, id: &LayerId) -> PathBuf {
        self.layers().join(id.to_string())
    }

    pub(crate) fn manifest(&self, id: &LayerId) -> PathBuf {
        self.layer(id).join("manifest")
    }

    pub(crate) fn tree(&self, id: &LayerId) -> PathBuf {
        self.layer(id).join("tree")
    }

    pub(crate) fn tar(&self, id: &LayerId) -> PathBuf {
        self.layer(id).join("tar")
    }

    pub(crate) fn index(&self, id: &LayerId) -> PathBuf {
        self.layer(id).join("index")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn log(&self, id: &LogId) -> PathBuf {
        self.logs().join(id.to_string())
    }

    pub(crate) fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn contexts(&self) -> PathBuf {
        self.root.join("contexts")
    }

    pub(crate) fn mounts(&self) -> PathBuf {
        self.root.join("mounts")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }
}
