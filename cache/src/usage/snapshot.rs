//! One look at all that is in a store: what there is, who needs what.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Kind, files, report, rows};
use crate::store::Inner;
use crate::{LayerId, LogId, StoreError, lease};

/// A layer, with all that pruning and `du` want to know.
#[derive(Debug, Clone)]
pub(crate) struct LayerUsage {
    pub(crate) id: LayerId,
    pub(crate) usage: u64,
    pub(crate) created: i64,
    pub(crate) used: i64,
    /// It has a tree or a tar.
    pub(crate) unpacked: bool,
    /// It has both.
    pub(crate) tree_and_tar: bool,
    pub(crate) imported: bool,
    /// None of its bytes are here.
    pub(crate) elsewhere: bool,
    /// Blobs that hold exactly this layer's tar.
    pub(crate) exact_blobs: Vec<String>,
    pub(crate) blobs: Vec<String>,
    /// The text of a step that made it.
    pub(crate) text: Option<String>,
    /// How long that took, in milliseconds.
    pub(crate) took: Option<u64>,
}

/// A blob.
#[derive(Debug, Clone)]
pub(crate) struct BlobUsage {
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) created: i64,
    pub(crate) used: i64,
}

/// An image.
#[derive(Debug, Clone)]
pub(crate) struct ImageUsage {
    pub(crate) id: String,
    pub(crate) manifest: Option<String>,
    pub(crate) layers: Vec<LayerId>,
    pub(crate) names: Vec<String>,
    /// The name of another image that it stays with.
    pub(crate) within: Option<String>,
    /// What indexes need that it or a name of it stands for.
    pub(crate) list: Vec<String>,
    pub(crate) created: i64,
    pub(crate) used: i64,
}

impl LayerUsage {
    /// It stays what it is when a blob of it goes: its files are here, and no blob is asked for them.
    pub(crate) fn is_without_blob(&self) -> bool {
        self.unpacked && !self.imported
    }
}

/// A file or directory that stands for itself: a log, a context index, a cache mount.
#[derive(Debug, Clone)]
pub(crate) struct FileUsage {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) description: String,
    pub(crate) size: u64,
    pub(crate) created: i64,
    pub(crate) used: i64,
    pub(crate) used_by: Option<String>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) layers: Vec<LayerUsage>,
    pub(crate) blobs: Vec<BlobUsage>,
    pub(crate) images: Vec<ImageUsage>,
    pub(crate) files: Vec<FileUsage>,
    /// Lines as [`lease`] writes them.
    pub(crate) leases: HashSet<String>,
    /// Kind and target to owner.
    pub(crate) pins: HashMap<(String, String), String>,
    pub(crate) logs_named: HashSet<LogId>,
}

impl Snapshot {
    /// Looks. What appears meanwhile may be missing; it is leased, so nothing comes of that.
    pub(crate) fn take(inner: &Arc<Inner>) -> Result<Snapshot, StoreError> {
        let leases = lease::all(&inner.layout)?;
        let mut snapshot = inner.db.read(|connection| {
            // One state of the database for all of the queries.
            connection.execute_batch("begin")?;
            let snapshot = rows::read(connection);
            connection.execute_batch("commit")?;
            snapshot
        })?;
        snapshot.leases = leases;
        snapshot.logs_named.extend(crate::builds::logs_named(&inner.layout));
        for blob in &mut snapshot.blobs {
            let path = inner.layout.blob_named(&blob.digest);
            blob.size = files::blocks(&path);
        }
        let layers = snapshot.layers.iter().map(|layer| layer.id.to_string()).collect();
        let blobs = snapshot.blobs.iter().map(|blob| blob.digest.clone()).collect();
        let found = files::find(inner, &mut snapshot.files, &layers, &blobs)?;
        snapshot.files.extend(found);
        Ok(snapshot)
    }

    /// Bytes of everything.
    pub(crate) fn total(&self) -> u64 {
        self.layers.iter().map(|layer| layer.usage).sum::<u64>()
            + self.blobs.iter().map(|blob| blob.size).sum::<u64>()
            + self.files.iter().map(|file| file.size).sum::<u64>()
    }

    /// Says which live process, container or image needs a layer.
    pub(crate) fn layer_used_by(&self, id: &LayerId) -> Option<String> {
        if self.leases.contains(&lease::line_of_layer(id)) {
            return Some("a running process".to_owned());
        }
        if let Some(owner) = self.pins.get(&("layer".to_owned(), id.to_string())) {
            return Some(owner.clone());
        }
        let image = self.images.iter().find(|image| image.layers.contains(id))?;
        Some(report::image_title(image))
    }

    pub(crate) fn blob_used_by(&self, blob: &BlobUsage) -> Option<String> {
        if self.leases.contains(&lease::line_of_blob(&blob.digest)) {
            return Some("a running process".to_owned());
        }
        if let Some(owner) = self.pins.get(&("blob".to_owned(), blob.digest.clone())) {
            return Some(owner.clone());
        }
        let names = |image: &&ImageUsage| {
            image.id == blob.digest
                || image.manifest.as_ref() == Some(&blob.digest)
                || image.list.contains(&blob.digest)
        };
        if let Some(image) = self.images.iter().find(names) {
            return Some(report::image_title(image));
        }
        let layer = self.layers.iter().find(|layer| layer.blobs.contains(&blob.digest))?;
        self.layer_used_by(&layer.id)
    }
}
