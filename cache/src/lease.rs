//! Leases: what a live process uses, and pruning therefore leaves alone.
//!
//! A lease is a file `work/<owner>/lease-<n>`, one line a thing, valid while its owner's lock is
//! held. Taking one writes the line *first* and looks at the row *after*; pruning marks a row as
//! dying first and reads the leases after. Whatever the order of the two, either the pruner sees
//! the line or the user sees the mark. So a build that finds everything writes nothing into the
//! database.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fs_err as fs;
use gantry_image::Digest;

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
    pub fn keep_layers(&self, layers: &[LayerId]) -> Result<Vec<LayerId>, StoreError> {
        self.file.add(layers.iter().map(line_of_layer))?;
        self.inner.db.read(|connection| {
            let mut statement =
                connection.prepare_cached("select 1 from layers where id = ?1 and dying = 0")?;
            let mut gone = Vec::new();
            for layer in layers {
                if !statement.exists([layer])? {
                    gone.push(*layer);
                }
            }
            Ok(gone)
        })
    }

    /// Keeps one layer; false if it is not in the store (any more).
    pub fn keep(&self, layer: &LayerId) -> Result<bool, StoreError> {
        Ok(self.keep_layers(std::slice::from_ref(layer))?.is_empty())
    }

    /// Keeps a blob; false if it is not in the store (any more).
    pub fn keep_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let text = digest.to_string();
        self.file.add([line_of_blob(&text)])?;
        self.inner.db.read(|connection| {
            connection
                .prepare_cached("select 1 from blobs where digest = ?1 and dying = 0")?
                .exists([&text])
        })
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
