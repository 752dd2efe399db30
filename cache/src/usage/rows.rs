//! One look at all that is in a store: what there is, who needs what, what is about to go.

use std::collections::{HashMap, HashSet};
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fs_err as fs;
use rusqlite::Connection;

use super::measure::{Seen, disk_usage};
use super::{Kind, Usage};
use crate::db::from_millis;
use crate::layers::ids_from_bytes;
use crate::store::Inner;
use crate::{LayerId, LogId, StoreError, lease, owner};

/// A layer, with all that pruning and `du` want to know.
#[derive(Debug, Clone)]
pub(crate) struct LayerUsage {
    pub(crate) id: LayerId,
    pub(crate) usage: u64,
    pub(crate) created: i64,
    pub(crate) used: i64,
    pub(crate) tree: bool,
    pub(crate) imported: bool,
    /// Blobs that hold exactly this layer's tar.
    pub(crate) exact_blobs: Vec<String>,
    pub(crate) blobs: Vec<String>,
    /// The text of a step that made it.
    pub(crate) text: Option<String>,
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
    pub(crate) created: i64,
    pub(crate) used: i64,
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
            let snapshot = from_rows(connection);
            connection.execute_batch("commit")?;
            snapshot
        })?;
        snapshot.leases = leases;
        snapshot.add_files(inner)?;
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
        Some(image_title(image))
    }

    pub(crate) fn blob_used_by(&self, blob: &BlobUsage) -> Option<String> {
        if self.leases.contains(&lease::line_of_blob(&blob.digest)) {
            return Some("a running process".to_owned());
        }
        if let Some(owner) = self.pins.get(&("blob".to_owned(), blob.digest.clone())) {
            return Some(owner.clone());
        }
        let names = |image: &&ImageUsage| {
            image.id == blob.digest || image.manifest.as_ref() == Some(&blob.digest)
        };
        if let Some(image) = self.images.iter().find(names) {
            return Some(image_title(image));
        }
        let layer = self.layers.iter().find(|layer| layer.blobs.contains(&blob.digest))?;
        self.layer_used_by(&layer.id)
    }

    fn add_files(&mut self, inner: &Arc<Inner>) -> Result<(), StoreError> {
        let layout = &inner.layout;
        let mut seen = Seen::default();
        for (dir, kind) in [(layout.logs(), Kind::Log), (layout.contexts(), Kind::Context)] {
            self.files.extend(files_in(&dir, kind));
        }
        for mount in &mut self.files {
            if mount.kind == Kind::CacheMount {
                // As much as can be seen of it.
                let path = layout.mounts().join(&mount.name);
                mount.size = disk_usage(&path, &mut seen).unwrap_or(0);
            }
        }
        for found in owner::list(layout)? {
            let size = disk_usage(&found.dir, &mut seen).unwrap_or(0);
            let name = found.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (created, used) = times(&found.dir);
            self.files.push(FileUsage {
                name,
                kind: Kind::Work,
                description: "work directory".to_owned(),
                size,
                created,
                used,
                used_by: found.alive.then(|| "a running process".to_owned()),
            });
        }
        self.files.push(FileUsage {
            name: "gantry.db".to_owned(),
            kind: Kind::Store,
            description: "database and directories".to_owned(),
            size: own_files(layout.root()),
            created: 0,
            used: 0,
            used_by: Some("the store".to_owned()),
        });
        Ok(())
    }
}

/// The database, and the directories that hold everything else.
fn own_files(root: &Path) -> u64 {
    let blocks = |path: &Path| fs::symlink_metadata(path).map_or(0, |m| m.st_blocks() * 512);
    // While pruning uses the reserve, it counts all the same: it comes back in the end.
    let mut bytes = blocks(root) + blocks(&root.join("reserve")).max(crate::store::RESERVE);
    for name in ["gantry.db", "gantry.db-wal", "gantry.db-shm"] {
        bytes += blocks(&root.join(name));
    }
    for name in crate::layout::DIRECTORIES {
        bytes += blocks(&root.join(name));
    }
    let mounts = fs::read_dir(root.join("mounts")).into_iter().flatten().flatten();
    bytes + mounts.map(|entry| blocks(&entry.path())).sum::<u64>()
}

/// Milliseconds of a file's birth (or change) and last change.
fn times(path: &Path) -> (i64, i64) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return (0, 0) };
    let used = metadata.modified().map_or(0, crate::db::to_millis);
    (metadata.created().map_or(used, crate::db::to_millis), used)
}

fn files_in(dir: &Path, kind: Kind) -> Vec<FileUsage> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let file = |entry: fs::DirEntry| {
        let size = entry.metadata().ok()?.st_blocks() * 512;
        let (created, used) = times(&entry.path());
        let name = entry.file_name().to_string_lossy().into_owned();
        let description = match kind {
            Kind::Log => "step log",
            _ => "context index",
        };
        let description = description.to_owned();
        Some(FileUsage { name, kind, description, size, created, used, used_by: None })
    };
    entries.filter_map(file).collect()
}

fn from_rows(connection: &Connection) -> rusqlite::Result<Snapshot> {
    let mut snapshot = Snapshot {
        layers: layers(connection)?,
        blobs: Vec::new(),
        images: Vec::new(),
        files: Vec::new(),
        leases: HashSet::new(),
        pins: HashMap::new(),
        logs_named: HashSet::new(),
    };
    let mut statement =
        connection.prepare_cached("select digest, size, created, used from blobs")?;
    let blobs = statement.query_map((), |row| {
        let size: u64 = row.get(1)?;
        Ok(BlobUsage {
            digest: row.get(0)?,
            size: size.div_ceil(4096) * 4096,
            created: row.get(2)?,
            used: row.get(3)?,
        })
    })?;
    snapshot.blobs = blobs.collect::<rusqlite::Result<_>>()?;
    let mut names = connection.prepare_cached("select name from names where image = ?1")?;
    let mut statement =
        connection.prepare_cached("select id, manifest, layers, stored, used from images")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let named = names.query_map([&id], |row| row.get(0))?;
        snapshot.images.push(ImageUsage {
            names: named.collect::<rusqlite::Result<_>>()?,
            id,
            manifest: row.get(1)?,
            layers: ids_from_bytes(row.get_ref(2)?.as_blob()?),
            created: row.get(3)?,
            used: row.get(4)?,
        });
    }
    let mut statement = connection.prepare_cached("select kind, target, owner from pins")?;
    let pins = statement.query_map((), |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    snapshot.pins = pins.collect::<rusqlite::Result<_>>()?;
    let mut statement =
        connection.prepare_cached("select distinct log from records where log is not null")?;
    let logs = statement.query_map((), |row| row.get(0))?;
    snapshot.logs_named = logs.collect::<rusqlite::Result<_>>()?;
    let mut statement =
        connection.prepare_cached("select id, instance, name, created, used from mounts")?;
    let mounts = statement.query_map((), |row| {
        Ok(FileUsage {
            name: format!("{}/{}", row.get::<_, String>(0)?, row.get::<_, i64>(1)?),
            kind: Kind::CacheMount,
            description: format!("cache mount {}", row.get::<_, String>(2)?),
            size: 0,
            created: row.get(3)?,
            used: row.get(4)?,
            used_by: None,
        })
    })?;
    snapshot.files = mounts.collect::<rusqlite::Result<_>>()?;
    Ok(snapshot)
}

fn layers(connection: &Connection) -> rusqlite::Result<Vec<LayerUsage>> {
    let mut blobs = connection.prepare_cached(
        "select digest, diff_id = (select diff_id from diffs d where d.layer = l.layer \
         and clamp = '') from layer_blobs l where layer = ?1",
    )?;
    let mut records = connection.prepare_cached(
        "select max(text) from record_layers natural join records where layer = ?1",
    )?;
    let mut statement =
        connection.prepare_cached("select id, usage, created, used, tree, imported from layers")?;
    let mut rows = statement.query(())?;
    let mut layers = Vec::new();
    while let Some(row) = rows.next()? {
        let id: LayerId = row.get(0)?;
        let (mut all, mut exact) = (Vec::new(), Vec::new());
        let mut found = blobs.query([id])?;
        while let Some(blob) = found.next()? {
            let digest: String = blob.get(0)?;
            if blob.get::<_, Option<bool>>(1)?.unwrap_or(false) {
                exact.push(digest.clone());
            }
            all.push(digest);
        }
        let text = records.query_row([id], |row| row.get(0))?;
        layers.push(LayerUsage {
            id,
            usage: row.get(1)?,
            created: row.get(2)?,
            used: row.get(3)?,
            tree: row.get(4)?,
            imported: row.get(5)?,
            exact_blobs: exact,
            blobs: all,
            text,
        });
    }
    Ok(layers)
}

/// What to call an image: its first name as users write it, or its short id.
pub(crate) fn image_title(image: &ImageUsage) -> String {
    let familiar = |name: &String| -> Option<String> {
        Some(name.parse::<gantry_image::Reference>().ok()?.familiar())
    };
    match image.names.first().and_then(familiar) {
        Some(name) => format!("image {name}"),
        None => format!("image {}", short(&image.id)),
    }
}

fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// What to call a layer.
pub(crate) fn layer_title(layer: &LayerUsage) -> String {
    match &layer.text {
        Some(text) => text.clone(),
        None if layer.imported => "layer of an image".to_owned(),
        None => "layer".to_owned(),
    }
}

/// The rows of `du`, the largest kinds of things first.
pub(super) fn usages(snapshot: &Snapshot) -> Result<Vec<Usage>, StoreError> {
    let time = |millis: i64| -> Option<SystemTime> { (millis != 0).then(|| from_millis(millis)) };
    let mut usages = Vec::new();
    for layer in &snapshot.layers {
        let used_by = snapshot.layer_used_by(&layer.id);
        usages.push(Usage {
            id: layer.id.to_string(),
            kind: Kind::Layer,
            description: layer_title(layer),
            size: layer.usage,
            created: time(layer.created),
            last_used: time(layer.used),
            reclaimable: used_by.is_none(),
            used_by,
        });
    }
    for blob in &snapshot.blobs {
        let used_by = snapshot.blob_used_by(blob);
        usages.push(Usage {
            id: blob.digest.clone(),
            kind: Kind::Blob,
            description: "blob".to_owned(),
            size: blob.size,
            created: time(blob.created),
            last_used: time(blob.used),
            reclaimable: used_by.is_none(),
            used_by,
        });
    }
    for image in &snapshot.images {
        let used_by = match image.names.is_empty() {
            false => Some(image_title(image)),
            true => snapshot.pins.get(&("image".to_owned(), image.id.clone())).cloned(),
        };
        usages.push(Usage {
            id: image.id.clone(),
            kind: Kind::Image,
            description: image_title(image),
            size: 0,
            created: time(image.created),
            last_used: time(image.used),
            reclaimable: used_by.is_none(),
            used_by,
        });
    }
    for file in &snapshot.files {
        usages.push(Usage {
            id: file.name.clone(),
            kind: file.kind,
            description: file.description.clone(),
            size: file.size,
            created: time(file.created),
            last_used: time(file.used),
            reclaimable: file.used_by.is_none(),
            used_by: file.used_by.clone(),
        });
    }
    Ok(usages)
}
