//! Files that stand for themselves: logs, context indexes, cache mounts, work directories, and the
//! store's own.

use std::collections::HashSet;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use super::Kind;
use super::measure::{Seen, disk_usage};
use super::snapshot::FileUsage;
use crate::store::Inner;
use crate::{StoreError, owner};

/// Finds them all but the cache mounts, which have rows; those are `known`, and get their sizes.
pub(super) fn find(
    inner: &Arc<Inner>,
    known: &mut [FileUsage],
    layers: &HashSet<String>,
    blobs: &HashSet<String>,
) -> Result<Vec<FileUsage>, StoreError> {
    let layout = &inner.layout;
    let (mut seen, mut files) = (Seen::default(), Vec::new());
    for (dir, kind) in [
        (layout.logs(), Kind::Log),
        (layout.builds(), Kind::Build),
        (layout.contexts(), Kind::Context),
    ] {
        files.extend(files_in(&dir, kind));
    }
    let mounts = known.iter().map(|mount| mount.name.clone()).collect();
    for mount in known {
        // As much as can be seen of it.
        mount.size = disk_usage(&layout.mounts().join(&mount.name), &mut seen).unwrap_or(0);
    }
    for found in owner::list(layout)? {
        let size = disk_usage(&found.dir, &mut seen).unwrap_or(0);
        let name = found.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (created, used) = times(&found.dir);
        files.push(FileUsage {
            name,
            kind: Kind::Work,
            description: "work directory".to_owned(),
            size,
            created,
            used,
            used_by: found.alive.then(|| "a running process".to_owned()),
        });
    }
    files.push(FileUsage {
        name: "gantry.db".to_owned(),
        kind: Kind::Store,
        description: "database and directories".to_owned(),
        size: own_files(layout.root(), layers, blobs, &mounts, &mut seen),
        created: 0,
        used: 0,
        used_by: Some("the store".to_owned()),
    });
    Ok(files)
}

/// What a file or directory takes by itself.
pub(super) fn blocks(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.st_blocks() * 512)
}

/// Everything that is nobody else's: the database, the directories that hold things, lock files,
/// and what has no row. What containers own is counted by them.
fn own_files(
    root: &Path,
    layers: &HashSet<String>,
    blobs: &HashSet<String>,
    mounts: &HashSet<String>,
    seen: &mut Seen,
) -> u64 {
    // While pruning uses the reserve, it counts all the same: it comes back in the end.
    let mut bytes = blocks(root) + blocks(&root.join("reserve")).max(crate::trash::RESERVE);
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let mut whole = |path: &Path| disk_usage(path, seen).unwrap_or(0);
    for name in names(root) {
        let path = root.join(&name);
        match name.as_str() {
            "reserve" | "containers" | "volumes" => {}
            // Each of these has files that are counted one by one.
            "logs" | "builds" | "contexts" | "work" => bytes += blocks(&path),
            "layers" => {
                bytes += blocks(&path);
                let strangers = names(&path).into_iter().filter(|name| !layers.contains(name));
                bytes += strangers.map(|name| whole(&path.join(name))).sum::<u64>();
            }
            "blobs" => {
                bytes += blocks(&path) + blocks(&path.join("sha256"));
                let known = |name: &String| blobs.contains(&format!("sha256:{name}"));
                let path = path.join("sha256");
                let strangers = names(&path).into_iter().filter(|name| !known(name));
                bytes += strangers.map(|name| whole(&path.join(name))).sum::<u64>();
            }
            "mounts" => {
                bytes += blocks(&path);
                for id in names(&path) {
                    let path = path.join(&id);
                    bytes += blocks(&path);
                    let known = |name: &String| mounts.contains(&format!("{id}/{name}"));
                    let strangers = names(&path).into_iter().filter(|name| !known(name));
                    bytes += strangers.map(|name| whole(&path.join(name))).sum::<u64>();
                }
            }
            _ => bytes += whole(&path),
        }
    }
    bytes
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
            Kind::Build => "what happened in a build",
            _ => "context index",
        };
        let description = description.to_owned();
        Some(FileUsage { name, kind, description, size, created, used, used_by: None })
    };
    entries.filter_map(file).collect()
}
