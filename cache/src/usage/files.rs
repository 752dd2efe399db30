//! Files that stand for themselves: logs, context indexes, cache mounts, work directories, and the
//! store's own.

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
        size: own_files(layout.root()),
        created: 0,
        used: 0,
        used_by: Some("the store".to_owned()),
    });
    Ok(files)
}

/// The database, and the directories that hold everything else.
fn own_files(root: &Path) -> u64 {
    let blocks = |path: &Path| fs::symlink_metadata(path).map_or(0, |m| m.st_blocks() * 512);
    // While pruning uses the reserve, it counts all the same: it comes back in the end.
    let mut bytes = blocks(root) + blocks(&root.join("reserve")).max(crate::trash::RESERVE);
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
            Kind::Build => "what happened in a build",
            _ => "context index",
        };
        let description = description.to_owned();
        Some(FileUsage { name, kind, description, size, created, used, used_by: None })
    };
    entries.filter_map(file).collect()
}
