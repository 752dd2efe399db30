//! Layers that the kernel mounts from their tars: made ready without unpacking.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use gantry_image::layer::{self, IndexError, Limits, Offsets, Unpacked};
use gantry_tree::{Entry, Manifest, TreePath};

use super::commit::{Arrival, Form, Listed};
use super::{Layer, Layers};
use crate::error::Context;
use crate::{LayerId, StoreError};

impl Layers<'_> {
    /// Makes sure that the layer is mountable or has a tree, if an index can say what it holds: its
    /// tar is indexed, or its blob written out as a tar and indexed in that pass.
    ///
    /// What is returned has neither if an index can't say it;
    /// [`ensure_tree`](Self::ensure_tree) is for that. Processes wait for each other, and the caller
    /// must hold a [`Lease`](crate::Lease), as there.
    ///
    /// # Errors
    /// As [`ensure_tree`](Self::ensure_tree).
    pub fn ensure_mountable(&self, id: &LayerId) -> Result<Layer, StoreError> {
        let ready = |layer: &Layer| layer.forms.tree || layer.mountable().is_some();
        let layer = self.require_local(id)?;
        if ready(&layer) {
            return Ok(layer);
        }
        let _one = self.lock(id)?;
        let layer = self.require(id)?;
        if ready(&layer) {
            return Ok(layer);
        }
        match layer.tar() {
            Some(tar) => self.index_tar(&layer, &tar)?,
            None => self.index_blob(&layer)?,
        }
        self.require(id)
    }

    /// Takes a layer of an image into the store whose tar was just read and written, with its index
    /// if one can say what it holds. The caller has checked its diff ID.
    ///
    /// # Errors
    /// As [`commit_tar`](Self::commit_tar).
    pub fn commit_mountable(&self, tar: &Path, read: &Unpacked) -> Result<LayerId, StoreError> {
        let index = Fresh(self.inner.owner()?.fresh("index"));
        let what = || format!("index the layer `{}`", read.diff_id.0);
        let fits = write(&read.manifest, &read.offsets, &index.0).doing(what)?;
        self.commit_tar(tar, fits.then_some(&*index.0), &read.manifest, read.diff_id, true)
    }

    fn index_tar(&self, layer: &Layer, tar: &Path) -> Result<(), StoreError> {
        let what = || format!("index the layer `{}`", layer.id);
        let (manifest, offsets) = if layer.imported {
            let mut file = fs::File::open(tar).doing(what)?;
            let read = layer::index(&mut file, &Limits::default())
                .map_err(|e| StoreError::layer(what(), e))?;
            self.check(layer, layer.diff_id(None), read.diff_id)?;
            (read.manifest, read.offsets)
        } else {
            let manifest = (*layer.manifest()?).clone();
            let offsets = Offsets::of_written(&manifest);
            (manifest, offsets)
        };
        let index = Fresh(self.inner.owner()?.fresh("index"));
        if !write(&manifest, &offsets, &index.0).doing(what)? {
            return Ok(());
        }
        let (id, imported) = (layer.id, layer.imported);
        let manifest = self.own_manifest(layer, manifest)?;
        let form = Form::Index(&index.0);
        self.commit(&Arrival { id, imported, diff: None, form, listed: Listed::new(&manifest) })
    }

    fn index_blob(&self, layer: &Layer) -> Result<(), StoreError> {
        let what = || format!("index the layer `{}`", layer.id);
        let source = self.own_tar(layer)?;
        let reader = source.reader.ok_or(StoreError::NoForm { layer: layer.id })?;
        let (tar, index) =
            (Fresh(self.inner.owner()?.fresh("tar")), Fresh(self.inner.owner()?.fresh("index")));
        let file = fs::File::create(&tar.0).doing(what)?;
        let mut tee = Tee { from: reader, to: BufWriter::with_capacity(1 << 20, file) };
        let read =
            layer::index(&mut tee, &Limits::default()).map_err(|e| StoreError::layer(what(), e))?;
        tee.to.flush().doing(what)?;
        self.check(layer, source.diff_id, read.diff_id)?;
        if !write(&read.manifest, &read.offsets, &index.0).doing(what)? {
            return Ok(());
        }
        let manifest = self.own_manifest(layer, read.manifest)?;
        let diff = Some((read.diff_id, Some(read.size)));
        let form = Form::Tar { tar: &tar.0, size: read.size, index: Some(&index.0) };
        let (id, imported) = (layer.id, layer.imported);
        self.commit(&Arrival { id, imported, diff, form, listed: Listed::new(&manifest) })
    }
}

/// Writes the index of a layer that lies on nothing whose root it would have to look like. Says
/// whether there is one.
fn write(manifest: &Manifest, offsets: &Offsets, to: &Path) -> io::Result<bool> {
    let root = Entry::plain_dir(TreePath::root());
    let mut file = fs::File::create(to)?;
    match layer::write_index(manifest, offsets, &root, &mut file) {
        Ok(()) => Ok(true),
        Err(IndexError::Write(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// A file that goes, unless it was moved away.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Keeps a copy of what is read.
struct Tee<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.to.write_all(&buffer[..count])?;
        Ok(count)
    }
}

/// Opens the files of a layer in its tar, one after the other.
pub(super) struct InTar<'a> {
    pub(super) tar: fs::File,
    pub(super) manifest: &'a Manifest,
    pub(super) offsets: Offsets,
}

impl InTar<'_> {
    /// Opens one file.
    pub(super) fn open(&self, entry: &Entry) -> io::Result<Box<dyn Read>> {
        use std::io::{Seek, SeekFrom};
        let missing = || io::Error::other(format!("`{}` is not in the tar", entry.path));
        let at = self.manifest.entries().binary_search_by(|other| other.path.cmp(&entry.path));
        let offset = at.ok().and_then(|at| self.offsets.get(at)).ok_or_else(missing)?;
        let mut file = fs::File::open(self.tar.path())?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(BufReader::new(file).take(entry.size())))
    }
}
