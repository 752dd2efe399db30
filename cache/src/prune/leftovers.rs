//! What processes that were killed left behind: it has no row, and nobody will ever ask for it.

use std::collections::HashSet;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use super::plan::{Step, Target};
use crate::error::Context;
use crate::store::Inner;
use crate::usage::{Seen, Snapshot, disk_usage};
use crate::{Kind, StoreError, owner};

/// A log gets its record right after its name; one that has none for this long never will.
const LOG_GRACE: Duration = Duration::from_secs(3600);

pub(super) fn find(inner: &Arc<Inner>, snapshot: &Snapshot) -> Result<Vec<Step>, StoreError> {
    let mut steps = Vec::new();
    for found in owner::list(&inner.layout)?.into_iter().filter(|found| !found.alive) {
        steps.push(step(found.dir, Kind::Work, "left behind by a process that is gone"));
    }
    for (path, kind) in orphans(inner)? {
        steps.push(step(path, kind, "left behind by a process that was killed"));
    }
    for file in snapshot.files.iter().filter(|file| file.kind == Kind::Log) {
        let named = file.name.parse().is_ok_and(|id| snapshot.logs_named.contains(&id));
        let path = inner.layout.logs().join(&file.name);
        if !named && is_older_than(&path, LOG_GRACE) {
            steps.push(step(path, Kind::Log, "no record names it"));
        }
    }
    Ok(steps)
}

fn step(path: PathBuf, kind: Kind, reason: &str) -> Step {
    let size = disk_usage(&path, &mut Seen::default()).unwrap_or(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Step::new(Target::File(path), kind, name, size, 0).about("leftover").because(reason)
}

/// Layers, forms of layers, and blobs that are on disk and in no row.
///
/// Things are renamed into place and get their row in one transaction, so the rows must be read
/// after the directory; and whoever removes what is found looks again in a transaction.
pub(crate) fn orphans(inner: &Arc<Inner>) -> Result<Vec<(PathBuf, Kind)>, StoreError> {
    let names = |dir: &Path| -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(dir).doing(|| format!("list `{}`", dir.display()))?;
        Ok(entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
    };
    let (layers, blobs) = (inner.layout.layers(), inner.layout.blobs());
    let (layers_there, blobs_there) = (names(&layers)?, names(&blobs)?);
    let (known_layers, known_blobs) = known(inner)?;
    let mut orphans = Vec::new();
    for name in layers_there {
        let path = layers.join(&name);
        match known_layers.iter().find(|(id, ..)| *id == name) {
            None => orphans.push((path, Kind::Layer)),
            Some((_, forms)) => {
                for (form, known) in ["tree", "tar", "index"].into_iter().zip(forms) {
                    let path = path.join(form);
                    if !*known && path.symlink_metadata().is_ok() {
                        orphans.push((path, Kind::Layer));
                    }
                }
            }
        }
    }
    let strangers = blobs_there.into_iter().filter(|name| !known_blobs.contains(name));
    orphans.extend(strangers.map(|name| (blobs.join(name), Kind::Blob)));
    Ok(orphans)
}

/// Layers with whether they have a tree, a tar and an index; blobs.
type Known = (Vec<(String, [bool; 3])>, HashSet<String>);

fn known(inner: &Inner) -> Result<Known, StoreError> {
    inner.db.read(|connection| {
        let mut statement =
            connection.prepare_cached("select id, tree, tar, mountable from layers")?;
        let layers = statement.query_map((), |row| {
            let id: crate::LayerId = row.get(0)?;
            Ok((id.to_string(), [row.get(1)?, row.get(2)?, row.get(3)?]))
        })?;
        let layers = layers.collect::<rusqlite::Result<_>>()?;
        let mut statement = connection.prepare_cached("select digest from blobs")?;
        let blobs = statement.query_map((), |row| {
            Ok(row.get::<_, String>(0)?.trim_start_matches("sha256:").to_owned())
        })?;
        Ok((layers, blobs.collect::<rusqlite::Result<_>>()?))
    })
}

/// Moves an orphan out of the way, if it still is one. Says whether it was.
pub(crate) fn remove_orphan(inner: &Inner, path: &Path) -> Result<bool, StoreError> {
    inner.db.write(|tx| {
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = path.parent().unwrap_or(path);
        let known = if parent == inner.layout.blobs() {
            tx.prepare_cached("select 1 from blobs where digest = ?1")?
                .exists([format!("sha256:{}", name(path))])?
        } else {
            let (sql, id) = match &name(path)[..] {
                "tree" => ("select 1 from layers where id = ?1 and tree = 1", name(parent)),
                "tar" => ("select 1 from layers where id = ?1 and tar = 1", name(parent)),
                "index" => ("select 1 from layers where id = ?1 and mountable = 1", name(parent)),
                id => ("select 1 from layers where id = ?1", id.to_owned()),
            };
            match id.parse::<crate::LayerId>() {
                Ok(id) => tx.prepare_cached(sql)?.exists([id])?,
                Err(_) => false,
            }
        };
        if !known {
            inner.trash(path)?;
        }
        Ok(!known)
    })
}

fn is_older_than(path: &Path, age: Duration) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let changed = u64::try_from(metadata.st_mtime()).unwrap_or(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_secs().saturating_sub(changed) > age.as_secs()
}
