//! [`Layer`]: what the store knows of one layer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use fs_err as fs;
use gantry_image::DiffId;
use gantry_tree::Manifest;

use super::Forms;
use crate::error::Context;
use crate::store::Inner;
use crate::{LayerId, StoreError};

/// What the store knew of a layer when it was looked up.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name.
    pub id: LayerId,
    /// It came with an image: its tar is fixed, clamping times does not apply.
    pub imported: bool,
    /// The sum of its files' sizes, once its manifest is known.
    pub size: Option<u64>,
    /// The forms it is there in.
    pub forms: Forms,
    /// When it was made or brought in.
    pub created: SystemTime,
    /// When it was last used, to the minute.
    pub last_used: SystemTime,
    pub(super) has_manifest: bool,
    pub(super) diffs: Vec<(Option<i64>, DiffId, Option<u64>)>,
    inner: Arc<Inner>,
}

/// A layer's rows.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) imported: bool,
    pub(super) size: Option<u64>,
    pub(super) forms: Forms,
    pub(super) created: SystemTime,
    pub(super) used: SystemTime,
    pub(super) manifest: bool,
    pub(super) diffs: Vec<(Option<i64>, DiffId, Option<u64>)>,
}

impl Layer {
    pub(super) fn new(inner: Arc<Inner>, id: LayerId, facts: Facts) -> Layer {
        Layer {
            id,
            imported: facts.imported,
            size: facts.size,
            forms: facts.forms,
            created: facts.created,
            last_used: facts.used,
            has_manifest: facts.manifest,
            diffs: facts.diffs,
            inner,
        }
    }

    /// Returns its manifest, decoded once for all who use it at the same time.
    ///
    /// # Errors
    /// [`StoreError::NoForm`] for a layer that is known as a blob only:
    /// [`ensure_manifest`](super::Layers::ensure_manifest) makes it. [`StoreError::BadFile`] if its
    /// file does not read as one.
    pub fn manifest(&self) -> Result<Arc<Manifest>, StoreError> {
        if let Some(manifest) = self.inner.manifests.get(&self.id) {
            return Ok(manifest);
        }
        if !self.has_manifest {
            return Err(StoreError::NoForm { layer: self.id });
        }
        let path = self.inner.layout.manifest(&self.id);
        let bytes = fs::read(&path).doing(|| format!("read `{}`", path.display()))?;
        let manifest = Manifest::decode(&bytes)
            .map_err(|error| StoreError::BadFile { path, why: error.to_string() })?;
        let manifest = Arc::new(manifest);
        self.inner.manifests.put(&self.id, &manifest);
        Ok(manifest)
    }

    /// Returns the directory with its files, if it has that form. Nobody may write in there.
    pub fn tree(&self) -> Option<PathBuf> {
        self.forms.tree.then(|| self.inner.layout.tree(&self.id))
    }

    /// Returns its uncompressed tar, if it has that form.
    pub fn tar(&self) -> Option<PathBuf> {
        self.forms.tar.then(|| self.inner.layout.tar(&self.id))
    }

    /// Opens its uncompressed tar, if it lies there as a file and has this diff ID; from clamped
    /// times comes another one.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn open_tar(&self, diff_id: &DiffId) -> Result<Option<fs::File>, StoreError> {
        let Some(path) = self.tar().filter(|_| self.diff_id(None) == Some(*diff_id)) else {
            return Ok(None);
        };
        fs::File::open(&path).map(Some).doing(|| format!("open `{}`", path.display()))
    }

    /// Returns its uncompressed tar and the index by which the kernel mounts it, if it has both.
    pub fn mountable(&self) -> Option<(PathBuf, PathBuf)> {
        let both = self.forms.tar && self.forms.index;
        both.then(|| (self.inner.layout.tar(&self.id), self.inner.layout.index(&self.id)))
    }

    /// Returns its diff ID, if that is known. `clamp` is SOURCE_DATE_EPOCH; an imported layer has
    /// one diff ID, whatever `clamp` is.
    pub fn diff_id(&self, clamp: Option<i64>) -> Option<DiffId> {
        self.diff(clamp).map(|(diff_id, _)| diff_id)
    }

    /// Returns the clamp under which it is known to have this diff ID, if there is one.
    pub fn clamp_of(&self, diff_id: &DiffId) -> Option<Option<i64>> {
        self.diffs.iter().find(|(_, known, _)| known == diff_id).map(|(clamp, ..)| *clamp)
    }

    pub(super) fn diff(&self, clamp: Option<i64>) -> Option<(DiffId, Option<u64>)> {
        let clamp = clamp.filter(|_| !self.imported);
        let known = self.diffs.iter().find(|(known, ..)| *known == clamp);
        known.map(|(_, diff_id, size)| (*diff_id, *size))
    }

    /// Says whether its manifest is there, without reading it.
    pub fn has_manifest(&self) -> bool {
        self.has_manifest
    }
}
