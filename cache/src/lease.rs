//! Leases: what a live process uses, and pruning therefore leaves alone.
//!
//! A lease is a file `work/<owner>/lease-<n>`, one line a thing, valid while its owner's lock is
//! held. Taking one writes the line *first* and looks at the row *after*; pruning marks a row as
//! dying first and reads the leases after. Whatever the order of the two, either the pruner sees
//! the line, or the user sees the mark and takes it away, and the pruner sees that. So a build that
//! finds everything writes nothing into the database, and what is in the store is never refused.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fs_err as fs;
use gantry_image::Digest;
use rusqlite::OptionalExtension;

use crate::db::locked;
use crate::error::Context;
use crate::layout::Layout;
use crate::store::Inner;
use crate::{LayerId, StoreError, owner};

/// Keeps layers and blobs from being pruned until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lease {
    // First: its file goes before its owner's directory.
    pub(crate) file: LeaseFile,
    pub(crate) inner: Arc<Inner>,
}

impl Lease {
    /// Keeps all of `layers`, and returns those that are not in the store (any more).
    ///
    /// What is returned must be made again; all others stay as long as the lease does.
    ///
    /// # Errors
    /// When the lease can't be written or the database can't be read.
    pub fn keep_layers(&self, layers: &[LayerId]) -> Result<Vec<LayerId>, StoreError> {
        self.file.add(layers.iter().map(line_of_layer))?;
        let found = self.inner.db.read(|connection| {
            let mut statement =
                connection.prepare_cached("select dying from layers where id = ?1")?;
            let state = |id| statement.query_row([id], |row| row.get(0)).optional();
            layers.iter().map(state).collect::<rusqlite::Result<Vec<Option<i64>>>>()
        })?;
        let mut gone = Vec::new();
        for (layer, state) in layers.iter().zip(found) {
            let kept = match state {
                Some(0) => true,
                Some(_) => self.inner.revive("update layers set dying = 0 where id = ?1", layer)?,
                None => false,
            };
            if !kept {
                gone.push(*layer);
            }
        }
        Ok(gone)
    }

    /// Keeps one layer; false if it is not in the store (any more).
    ///
    /// # Errors
    /// As [`keep_layers`](Self::keep_layers).
    pub fn keep(&self, layer: &LayerId) -> Result<bool, StoreError> {
        Ok(self.keep_layers(std::slice::from_ref(layer))?.is_empty())
    }

    /// Keeps a blob; false if it is not in the store (any more).
    ///
    /// # Errors
    /// As [`keep_layers`](Self::keep_layers).
    pub fn keep_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let text = digest.to_string();
        self.file.add([line_of_blob(&text)])?;
        self.inner.is_kept_blob(&text)
    }
}

impl Inner {
    /// Says whether a blob, which is leased by now, is in the store; it stays then.
    pub(crate) fn is_kept_blob(&self, digest: &str) -> Result<bool, StoreError> {
        let state: Option<i64> = self.db.read(|connection| {
            connection
                .prepare_cached("select dying from blobs where digest = ?1")?
                .query_row([digest], |row| row.get(0))
                .optional()
        })?;
        match state {
            Some(0) => Ok(true),
            Some(_) => self.revive("update blobs set dying = 0 where digest = ?1", &digest),
            None => Ok(false),
        }
    }

    /// Takes a pruner's mark away, unless the row went before. Says whether it is there.
    fn revive(&self, sql: &str, id: &dyn rusqlite::ToSql) -> Result<bool, StoreError> {
        self.db.write(|tx| Ok(tx.prepare_cached(sql)?.execute([id])? > 0))
    }
}

/// The file behind a lease; also the one that holds what this process itself makes.
#[derive(Debug)]
pub(crate) struct LeaseFile {
    path: PathBuf,
    inner: Mutex<(fs::File, HashSet<String>)>,
}

impl LeaseFile {
    pub(crate) fn new(path: PathBuf) -> Result<LeaseFile, StoreError> {
        let file = fs::File::create_new(&path).doing(|| format!("create `{}`", path.display()))?;
        Ok(LeaseFile { path, inner: Mutex::new((file, HashSet::new())) })
    }

    /// Writes lines that are not there yet.
    pub(crate) fn add(&self, lines: impl IntoIterator<Item = String>) -> Result<(), StoreError> {
        let mut inner = locked(&self.inner);
        let (file, known) = &mut *inner;
        let new: Vec<String> = lines.into_iter().filter(|line| !known.contains(line)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let text: String = new.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        file.write_all(text.as_bytes()).doing(|| format!("write `{}`", self.path.display()))?;
        known.extend(new);
        Ok(())
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        // One that stays ends with its owner.
        let _ = fs::remove_file(&self.path);
    }
}

pub(crate) fn line_of_layer(id: &LayerId) -> String {
    format!("layer {id}")
}

pub(crate) fn line_of_blob(digest: &str) -> String {
    format!("blob {digest}")
}

/// All that live processes lease, as lines.
///
/// # Errors
/// When a live lease can't be read: then nothing may be taken for free.
pub(crate) fn all(layout: &Layout) -> Result<HashSet<String>, StoreError> {
    let mut lines = HashSet::new();
    for found in owner::list(layout)?.into_iter().filter(|found| found.alive) {
        // An owner that ends meanwhile takes its leases along.
        let Ok(entries) = fs::read_dir(&found.dir) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"lease-") {
                read_lines(&entry.path(), &mut lines)?;
            }
        }
    }
    Ok(lines)
}

fn read_lines(path: &Path, lines: &mut HashSet<String>) -> Result<(), StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => lines.extend(text.lines().map(str::to_owned)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io(format!("read `{}`", path.display()), error)),
    }
    Ok(())
}
