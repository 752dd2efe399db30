//! Measuring what trees take on disk, blocks and directories included, as `du` does.
//!
//! A file with several names is counted once. Layers may share files by hard links; such a file is
//! counted with the oldest layer that has it. Most stores have no such files, so a layer is walked
//! on its own first, and all of them together only if one has files with names elsewhere.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use gantry_tree::{FileKind, Follow, Root, TreeError, TreePath};

use crate::store::Inner;
use crate::{LayerId, StoreError};

/// Files with several names: how many of the names were seen, and how many there are.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<((u32, u32), u64), (u32, u32)>);

impl Seen {
    /// Says whether some file has names that were not seen.
    fn has_strangers(&self) -> bool {
        self.0.values().any(|(seen, names)| seen < names)
    }
}

/// Returns what everything at `path` takes on disk; nothing, if it is not there.
///
/// `path` is not trusted below its last component: symbolic links count as themselves.
pub(crate) fn disk_usage(path: &Path, seen: &mut Seen) -> Result<u64, StoreError> {
    let error = |e: TreeError| StoreError::tree(format!("measure `{}`", path.display()), e);
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(metadata) => return Ok(std::os::linux::fs::MetadataExt::st_blocks(&metadata) * 512),
        Err(_) => return Ok(0),
    }
    let root = match Root::open(path) {
        Err(e) if e.is_not_found() => return Ok(0),
        other => other.map_err(error)?,
    };
    let mut bytes = root.stat(&TreePath::root(), Follow::Parents).map_err(error)?.blocks * 512;
    let mut directories = vec![root];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir(&TreePath::root(), Follow::Parents).map_err(error)? {
            let Ok(name) = TreePath::new(&entry.name) else { continue };
            // What goes meanwhile takes nothing.
            let stat = match directory.stat(&name, Follow::Parents) {
                Err(e) if e.is_not_found() => continue,
                other => other.map_err(error)?,
            };
            if stat.kind == FileKind::Dir {
                match directory.open_in(&name) {
                    Err(e) if e.is_not_found() => continue,
                    other => directories.push(other.map_err(error)?),
                }
            } else if stat.nlink > 1 {
                let names = seen.0.entry((stat.dev, stat.ino)).or_insert((0, stat.nlink));
                names.0 += 1;
                if names.0 > 1 {
                    continue;
                }
            }
            bytes += stat.blocks * 512;
        }
    }
    Ok(bytes)
}

/// Measures the layers whose usage is only known as an upper bound.
///
/// A layer that can't be walked (a rootless store's, from outside of the user namespace) keeps its
/// upper bound. One that is not synced yet is measured again the next time: filesystems find places
/// for what was written when they write it out, and may need blocks more then to say where it is.
pub(crate) fn trees(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let all = inner.db.read(|connection| {
        let mut statement = connection.prepare_cached(
            "select id, measured, unsynced is null and grown is null from layers order by created",
        )?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<rusqlite::Result<Vec<(LayerId, i64, bool)>>>()
    })?;
    if all.iter().all(|(_, measured, _)| *measured > 0) {
        return Ok(());
    }
    let mut results = Vec::new();
    let mut shared = all.iter().any(|(_, measured, _)| *measured == SHARED);
    for (id, _, settled) in all.iter().filter(|(_, measured, _)| *measured == 0) {
        let mut seen = Seen::default();
        if let Ok(bytes) = disk_usage(&inner.layout.layer(id), &mut seen) {
            shared |= seen.has_strangers();
            results.push((*id, bytes, if *settled { ALONE } else { 0 }));
        }
    }
    if shared {
        results.clear();
        let mut seen = Seen::default();
        for (id, _, settled) in &all {
            if let Ok(bytes) = disk_usage(&inner.layout.layer(id), &mut seen) {
                results.push((*id, bytes, if *settled { SHARED } else { 0 }));
            }
        }
    }
    let noted = inner.db.write(|tx| {
        let mut statement =
            tx.prepare_cached("update layers set usage = ?2, measured = ?3 where id = ?1")?;
        for (id, bytes, how) in &results {
            statement.execute((id, bytes, how))?;
        }
        Ok(())
    });
    match noted {
        // On a full disk the upper bounds have to do.
        Err(error) if error.is_full() => Ok(()),
        other => other,
    }
}

/// `measured`: none of its files has names in other layers.
const ALONE: i64 = 1;

/// `measured`: some layers share files, so when one goes, all must be measured again.
const SHARED: i64 = 2;

/// Notes, before a layer goes, that files which it shares are counted with another one then.
pub(crate) fn remeasure_shared(tx: &rusqlite::Connection) -> rusqlite::Result<()> {
    tx.prepare_cached("update layers set measured = 0 where measured = ?1")?.execute([SHARED])?;
    Ok(())
}
