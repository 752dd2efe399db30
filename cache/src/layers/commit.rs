//! How a layer comes into the store: by one rename, inside the transaction that makes its row.

use std::path::{Path, PathBuf};

use fs_err as fs;
use gantry_image::{DiffId, Digest};
use gantry_tree::{Manifest, Node, remove_tree};
use rusqlite::{Connection, OptionalExtension};

use super::insert::{Diff, Row, exists, insert, insert_blob, insert_diff};
use super::{BlobForm, Layers, blob_key};
use crate::db::WriteError;
use crate::error::Context;
use crate::lease::{line_of_blob, line_of_layer};
use crate::{LayerId, StoreError};

impl Layers<'_> {
    /// Takes the directory `tree` (an upper that is finished) into the store, as a layer that was
    /// made here.
    ///
    /// `tree` must lie in a work directory of this store, and belongs to the store afterwards. If
    /// the store has the layer already, that one stays, and `tree` goes with its work directory. The
    /// store's handle leases the layer.
    ///
    /// # Errors
    /// When it can't be moved or recorded; nothing of it is in the store then.
    pub fn commit_tree(&self, tree: &Path, manifest: &Manifest) -> Result<LayerId, StoreError> {
        let listed = Listed::new(manifest);
        let (id, form) = (listed.id(), Form::Tree(tree));
        self.commit(&Arrival { id, imported: false, diff: None, form, listed })?;
        Ok(id)
    }

    /// Takes an unpacked layer of an image into the store. The caller has checked its diff ID.
    ///
    /// # Errors
    /// As [`commit_tree`](Self::commit_tree).
    pub fn commit_imported(
        &self,
        tree: &Path,
        manifest: &Manifest,
        diff_id: DiffId,
        tar_size: u64,
    ) -> Result<LayerId, StoreError> {
        let id = LayerId::from_diff_id(&diff_id);
        let diff = Some((diff_id, Some(tar_size)));
        let (form, listed) = (Form::Tree(tree), Listed::new(manifest));
        self.commit(&Arrival { id, imported: true, diff, form, listed })?;
        Ok(id)
    }

    /// Takes a layer that was written as a tar into the store; otherwise as the other two.
    /// `index` is its mountable index, if it has one. `imported` says whether it belongs to an
    /// image that was brought in.
    ///
    /// # Errors
    /// As [`commit_tree`](Self::commit_tree).
    pub fn commit_tar(
        &self,
        tar: &Path,
        index: Option<&Path>,
        manifest: &Manifest,
        diff_id: DiffId,
        imported: bool,
    ) -> Result<LayerId, StoreError> {
        let listed = Listed::new(manifest);
        let id = match imported {
            true => LayerId::from_diff_id(&diff_id),
            false => listed.id(),
        };
        let size = size_of(tar)?;
        let diff = Some((diff_id, Some(size)));
        let form = Form::Tar { tar, size, index };
        self.commit(&Arrival { id, imported, diff, form, listed })?;
        Ok(id)
    }

    /// Makes an imported layer known by its blob, which must be in the store. Nothing is unpacked
    /// or verified before somebody needs it.
    ///
    /// # Errors
    /// [`StoreError::BlobGone`] if the blob isn't there.
    pub fn add_blob(
        &self,
        diff_id: &DiffId,
        digest: &Digest,
        media_type: &str,
    ) -> Result<LayerId, StoreError> {
        let id = LayerId::from_diff_id(diff_id);
        let form = BlobForm {
            digest: *digest,
            diff_id: *diff_id,
            media_type: media_type.to_owned(),
            how: String::new(),
        };
        self.inner.lease_own(line_of_layer(&id))?;
        self.inner.lease_own(line_of_blob(&blob_key(digest)))?;
        let now = self.inner.now();
        self.inner.db.write(|tx| {
            let row = Row {
                id,
                imported: true,
                tree: false,
                tar: false,
                index: false,
                size: None,
                usage: 0,
            };
            insert(tx, &row, now)?;
            insert_diff(tx, &id, None, &(*diff_id, None))?;
            insert_blob(tx, &id, &form, now)
        })?;
        Ok(id)
    }

    /// Remembers a blob that a layer of the store was compressed to.
    ///
    /// # Errors
    /// [`StoreError::LayerGone`] or [`StoreError::BlobGone`] if one of the two isn't there.
    pub fn attach_blob(&self, id: &LayerId, form: &BlobForm) -> Result<(), StoreError> {
        self.inner.lease_own(line_of_blob(&blob_key(&form.digest)))?;
        self.inner.db.write(|tx| {
            if !exists(tx, id)? {
                return Err(StoreError::LayerGone { layer: *id }.into());
            }
            insert_blob(tx, id, form, self.inner.now())
        })
    }

    /// Brings a layer, or a further form of it, in.
    pub(super) fn commit(&self, arrival: &Arrival<'_>) -> Result<(), StoreError> {
        let inner = self.inner;
        let Arrival { id, listed, .. } = arrival;
        inner.lease_own(line_of_layer(id))?;
        if self.has_all_of(arrival)? {
            return Ok(());
        }
        let staged = Staged(inner.owner()?.fresh("layer"));
        let doing = || format!("store the layer `{id}`");
        fs::create_dir(&staged.0).doing(doing)?;
        fs::write(staged.0.join("manifest"), &listed.bytes).doing(doing)?;
        let files = arrival.form.files();
        for (from, name) in &files {
            fs::rename(from, staged.0.join(name)).doing(doing)?;
        }
        let mut usage = upper_bound(listed, arrival.form);
        if files.iter().any(|(_, name)| *name == INDEX) {
            usage += size_of(&staged.0.join(INDEX))?.next_multiple_of(4096);
        }
        let has = |form: &str| files.iter().any(|(_, name)| *name == form);
        inner.db.write(|tx| {
            self.place(tx, arrival, &staged.0, &files)?;
            insert(
                tx,
                &Row {
                    id: *id,
                    imported: arrival.imported,
                    tree: has(TREE),
                    tar: has(TAR),
                    index: has(INDEX),
                    size: Some(listed.manifest.total_size()),
                    usage,
                },
                inner.now(),
            )?;
            crate::images::remeasure(tx, id)?;
            arrival.diff.map_or(Ok(()), |diff| insert_diff(tx, id, None, &diff))
        })?;
        if let Form::Tar { size, .. } = arrival.form {
            crate::sync::head_start(inner.layout.layer(id).join(TAR), size);
        }
        Ok(())
    }

    /// Says whether a tree brings nothing new: steps that change nothing all make the same layer.
    /// Leased by now, what is there stays.
    fn has_all_of(&self, arrival: &Arrival<'_>) -> Result<bool, StoreError> {
        const GRAIN: i64 = 60_000;
        if !matches!(arrival.form, Form::Tree(_)) || arrival.diff.is_some() {
            return Ok(false);
        }
        self.inner.db.read(|connection| {
            connection
                .prepare_cached(
                    "select 1 from layers where id = ?1 and manifest and tree and not dying \
                     and remote is null and used > ?2",
                )?
                .exists((&arrival.id, self.inner.now() - GRAIN))
        })
    }

    /// Moves what is staged to its place, unless that is taken already by the same.
    fn place(
        &self,
        tx: &Connection,
        arrival: &Arrival<'_>,
        staged: &Path,
        files: &[(&Path, &'static str)],
    ) -> Result<(), WriteError> {
        let layout = &self.inner.layout;
        let target = layout.layer(&arrival.id);
        let doing = || format!("store the layer `{}`", arrival.id);
        let known: Option<(bool, bool, bool, bool)> = tx
            .prepare_cached("select manifest, tree, tar, mountable from layers where id = ?1")?
            .query_row([&arrival.id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let (manifest, tree, tar, index) = known.unwrap_or_default();
        if !(manifest || tree || tar) {
            // A directory that no row knows is what a dead process left.
            if target.exists() {
                self.inner.trash(&target)?;
            }
            fs::rename(staged, &target).doing(doing)?;
            return Ok(());
        }
        for (_, name) in files {
            let here = match *name {
                TREE => tree,
                TAR => tar,
                _ => index,
            };
            if !here {
                let to = target.join(name);
                if to.symlink_metadata().is_ok() {
                    self.inner.trash(&to)?;
                }
                fs::rename(staged.join(name), to).doing(doing)?;
            }
        }
        if !manifest {
            fs::rename(staged.join("manifest"), target.join("manifest")).doing(doing)?;
        }
        Ok(())
    }
}

/// What is being brought in.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) id: LayerId,
    pub(super) imported: bool,
    pub(super) diff: Option<Diff>,
    pub(super) form: Form<'a>,
    pub(super) listed: Listed<'a>,
}

/// A manifest, and the bytes that it is stored as and named after.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    manifest: &'a Manifest,
    bytes: Vec<u8>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(manifest: &'a Manifest) -> Self {
        Self { manifest, bytes: manifest.encode() }
    }

    fn id(&self) -> LayerId {
        LayerId::from_encoded(&self.bytes)
    }
}

/// The form in which it comes, and where it lies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form<'a> {
    Tree(&'a Path),
    /// With its mountable index, which is of this very tar: the same layer has the same tar.
    Tar {
        tar: &'a Path,
        size: u64,
        index: Option<&'a Path>,
    },
    /// The index of a tar that is there.
    Index(&'a Path),
}

const TREE: &str = "tree";
const TAR: &str = "tar";
const INDEX: &str = "index";

impl<'a> Form<'a> {
    /// What has to be moved, and the names that it gets.
    fn files(self) -> Vec<(&'a Path, &'static str)> {
        match self {
            Self::Tree(tree) => vec![(tree, TREE)],
            Self::Tar { tar, index, .. } => {
                std::iter::once((tar, TAR)).chain(index.map(|index| (index, INDEX))).collect()
            }
            Self::Index(index) => vec![(index, INDEX)],
        }
    }
}

fn size_of(file: &Path) -> Result<u64, StoreError> {
    Ok(fs::metadata(file).doing(|| format!("look at `{}`", file.display()))?.len())
}

/// A directory that goes, with what was not taken out of it.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = remove_tree(&self.0);
    }
}

/// What a layer takes on disk at most, without looking: whole blocks, no sharing by hard links.
fn upper_bound(listed: &Listed<'_>, form: Form<'_>) -> u64 {
    const BLOCK: u64 = 4096;
    let blocks = |bytes: u64| bytes.div_ceil(BLOCK) * BLOCK;
    let tree = || {
        let entries = listed.manifest.entries().iter().map(|entry| match &entry.node {
            Node::Dir { .. } => BLOCK,
            Node::File { size, .. } => blocks(*size),
            Node::Symlink { target } if target.len() >= 60 => BLOCK,
            _ => 0,
        });
        BLOCK + entries.sum::<u64>()
    };
    let form = match form {
        Form::Tree(_) => tree(),
        Form::Tar { size, .. } => blocks(size),
        Form::Index(_) => 0,
    };
    BLOCK + blocks(listed.bytes.len() as u64) + form
}
