//! One form from another, streaming, and checked against the diff ID.

use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use gantry_image::layer::{self, Ids, LayerError, Limits, Offsets, UnpackOptions};
use gantry_image::{DiffId, Hasher, compress};
use gantry_tree::{Entry, Follow, Manifest, Root, TreePath, remove_tree};

use super::commit::{Arrival, Form, Listed};
use super::index::InTar;
use super::insert::insert_diff;
use super::{BlobForm, Layer, Layers};
use crate::error::Context;
use crate::lock::LockGuard;
use crate::{LayerId, StoreError, lock};

impl Layers<'_> {
    /// Makes sure that the layer has a tree, unpacking its tar or blob if need be.
    ///
    /// One process at a time does so; others wait and get its result. The caller must hold a
    /// [`Lease`](crate::Lease) on the layer. In a rootless store this needs the user namespace.
    ///
    /// # Errors
    /// [`StoreError::DiffIdMismatch`] if the bytes are not the layer's: nothing is kept of them.
    /// [`StoreError::LayerGone`], [`StoreError::NoForm`].
    pub fn ensure_tree(&self, id: &LayerId, options: &UnpackOptions) -> Result<Layer, StoreError> {
        let layer = self.require_local(id)?;
        if layer.forms.tree {
            return Ok(layer);
        }
        let _one = self.lock(id)?;
        let layer = self.require(id)?;
        if layer.forms.tree {
            return Ok(layer);
        }
        let dir = Scratch(self.inner.owner()?.fresh("unpack"));
        fs::create_dir(&dir.0).doing(|| format!("create `{}`", dir.0.display()))?;
        // Most layers say nothing of their root directory, and the umask must not speak for them.
        fs::set_permissions(&dir.0, Permissions::from_mode(0o755))
            .doing(|| format!("open up `{}`", dir.0.display()))?;
        let what = || format!("unpack the layer `{id}`");
        let root = Root::open(&dir.0).map_err(|e| StoreError::tree(what(), e))?;
        let source = self.own_tar(&layer)?;
        let mut reader = source.reader.ok_or(StoreError::NoForm { layer: *id })?;
        let unpacked =
            layer::unpack(&mut reader, &root, options).map_err(|e| StoreError::layer(what(), e))?;
        self.check(&layer, source.diff_id, unpacked.diff_id)?;
        let manifest = self.own_manifest(&layer, unpacked.manifest)?;
        if let Some((_, index)) = layer.mountable() {
            look_alike(&root, &index, options).doing(what)?;
        }
        let diff = Some((unpacked.diff_id, Some(unpacked.size)));
        let form = Form::Tree(&dir.0);
        let imported = layer.imported;
        self.commit(&Arrival { id: *id, imported, diff, form, listed: Listed::new(&manifest) })?;
        self.require(id)
    }

    /// Makes sure that the layer's manifest is known, reading its blob once if need be.
    ///
    /// # Errors
    /// As [`ensure_tree`](Self::ensure_tree).
    pub fn ensure_manifest(&self, id: &LayerId) -> Result<Arc<Manifest>, StoreError> {
        let layer = self.require_local(id)?;
        if layer.has_manifest {
            return layer.manifest();
        }
        let _one = self.lock(id)?;
        let layer = self.require(id)?;
        if layer.has_manifest {
            return layer.manifest();
        }
        let source = self.own_tar(&layer)?;
        let mut reader = source.reader.ok_or(StoreError::NoForm { layer: *id })?;
        let what = || format!("read the layer `{id}`");
        let indexed = layer::index(&mut reader, &Limits::default())
            .map_err(|e| StoreError::layer(what(), e))?;
        self.check(&layer, source.diff_id, indexed.diff_id)?;
        self.add_manifest(&layer, &indexed.manifest, (indexed.diff_id, Some(indexed.size)))?;
        let manifest = Arc::new(indexed.manifest);
        self.inner.manifests.put(id, &manifest);
        Ok(manifest)
    }

    /// Returns the layer's diff ID and the size of its tar, and remembers them.
    ///
    /// `clamp` is SOURCE_DATE_EPOCH; an imported layer has the diff ID that it came with.
    ///
    /// # Errors
    /// When no form of the layer can be read.
    pub fn ensure_diff_id(
        &self,
        id: &LayerId,
        clamp: Option<i64>,
    ) -> Result<(DiffId, u64), StoreError> {
        let layer = self.require(id)?;
        if let Some((diff_id, Some(size))) = layer.diff(clamp) {
            return Ok((diff_id, size));
        }
        // Two may compute it at the same time; they get the same.
        let (diff_id, size) = self.tar_stream(id, clamp, &mut io::sink())?;
        Ok((diff_id, size))
    }

    /// Writes the layer's tar to `out`, from whatever form is there, and returns its diff ID and
    /// size, which are checked against what is known and remembered.
    ///
    /// # Errors
    /// [`StoreError::DiffIdMismatch`] after the last byte, if it was not what it had to be.
    /// [`StoreError::NoForm`] before the first.
    pub fn tar_stream(
        &self,
        id: &LayerId,
        clamp: Option<i64>,
        out: &mut dyn Write,
    ) -> Result<(DiffId, u64), StoreError> {
        let layer = self.require_local(id)?;
        let clamp = clamp.filter(|_| !layer.imported);
        let known = layer.diff(clamp);
        let what = || format!("read the layer `{id}`");
        let mut out = Tally { out, hasher: Hasher::new(), size: 0 };
        let source = self.tar_of(&layer, known.map(|(diff_id, _)| diff_id), clamp)?;
        if let Some(mut reader) = source.reader {
            let mut reader = BufReader::with_capacity(256 << 10, &mut reader);
            copy(&mut reader, &mut out).doing(what)?;
        } else if let Some(tree) = layer.tree() {
            let manifest = layer.manifest()?;
            write_tree(&manifest, &tree, clamp, &mut out)
                .map_err(|e| StoreError::layer(what(), e))?;
        } else if let Some(tar) = layer.tar() {
            // Its own tar has the times as they are.
            let manifest = layer.manifest()?;
            let offsets = Offsets::of_written(&manifest);
            let tar = fs::File::open(tar).doing(what)?;
            let files = InTar { tar, manifest: &manifest, offsets };
            layer::write_tar(&manifest, &mut |entry| files.open(entry), clamp, &mut out)
                .map_err(|e| StoreError::layer(what(), e))?;
        } else {
            return Err(StoreError::NoForm { layer: *id });
        }
        let (actual, size) = (DiffId(out.hasher.finish()), out.size);
        self.check(&layer, source.diff_id.or(known.map(|(diff_id, _)| diff_id)), actual)?;
        if known.is_none_or(|(_, size)| size.is_none()) {
            let diff = (actual, Some(size));
            self.inner.db.write(|tx| insert_diff(tx, id, clamp, &diff))?;
        }
        Ok((actual, size))
    }

    pub(super) fn lock(&self, id: &LayerId) -> Result<LockGuard, StoreError> {
        lock::take(&self.inner.lock_path("layer", &id.0), lock::Hold::Exclusive)
    }

    /// The layer's tar with its times as they are.
    pub(super) fn own_tar(&self, layer: &Layer) -> Result<Source, StoreError> {
        self.tar_of(layer, layer.diff_id(None), None)
    }

    /// A tar of the layer that need not be written anew: the tar form, or a blob that holds the
    /// one with this diff ID.
    fn tar_of(
        &self,
        layer: &Layer,
        wanted: Option<DiffId>,
        clamp: Option<i64>,
    ) -> Result<Source, StoreError> {
        let what = || format!("read the layer `{}`", layer.id);
        if let Some(path) = layer.tar().filter(|_| clamp.is_none()) {
            let file = fs::File::open(&path).doing(what)?;
            return Ok(Source { reader: Some(Box::new(file)), diff_id: layer.diff_id(None) });
        }
        let fits = |form: &&BlobForm| Some(form.diff_id) == wanted;
        let Some(form) = layer.forms.blobs.iter().find(fits) else {
            return Ok(Source { reader: None, diff_id: None });
        };
        let blobs = crate::Blobs { inner: self.inner };
        let gone = StoreError::BlobGone { digest: form.digest };
        let file = blobs.open(&form.digest)?.ok_or(gone)?;
        let file = BufReader::with_capacity(1 << 16, file);
        let (_, reader) = compress::reader(file).doing(what)?;
        Ok(Source { reader: Some(reader), diff_id: Some(form.diff_id) })
    }

    pub(super) fn check(
        &self,
        layer: &Layer,
        expected: Option<DiffId>,
        actual: DiffId,
    ) -> Result<(), StoreError> {
        match expected {
            Some(expected) if expected != actual => {
                Err(StoreError::DiffIdMismatch { layer: layer.id, expected, actual })
            }
            _ => Ok(()),
        }
    }

    /// What the layer's manifest is: the one that it has, else the one just read.
    pub(super) fn own_manifest(
        &self,
        layer: &Layer,
        read: Manifest,
    ) -> Result<Arc<Manifest>, StoreError> {
        if layer.has_manifest { layer.manifest() } else { Ok(Arc::new(read)) }
    }

    /// Writes the manifest of a layer that had none.
    fn add_manifest(
        &self,
        layer: &Layer,
        manifest: &Manifest,
        diff: (DiffId, Option<u64>),
    ) -> Result<(), StoreError> {
        let inner = self.inner;
        let staged = inner.owner()?.fresh("manifest");
        let what = || format!("store the manifest of `{}`", layer.id);
        let encoded = manifest.encode();
        fs::write(&staged, &encoded).doing(what)?;
        let usage = encoded.len().div_ceil(4096) * 4096 + 4096;
        inner.db.write(|tx| {
            let to = inner.layout.manifest(&layer.id);
            fs::create_dir_all(inner.layout.layer(&layer.id)).doing(what)?;
            fs::rename(&staged, &to).doing(what)?;
            tx.prepare_cached(
                "update layers set manifest = 1, size = ?2, usage = usage + ?3, measured = 0, \
                 grown = ?4 where id = ?1",
            )?
            .execute((
                layer.id,
                manifest.total_size(),
                usage,
                crate::store::Inner::epoch(tx)?,
            ))?;
            crate::images::remeasure(tx, &layer.id)?;
            insert_diff(tx, &layer.id, None, &diff)
        })
    }
}

/// Copies in large pieces.
fn copy(from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<()> {
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        to.write_all(bytes)?;
        let count = bytes.len();
        from.consume(count);
    }
}

/// Gives the root of a tree the looks that the layer's index has: those of what it was made upon.
fn look_alike(root: &Root, index: &Path, options: &UnpackOptions) -> io::Result<()> {
    let (mode, uid, gid) = layer::root_looks(fs::File::open(index)?.file())?;
    let path = TreePath::root();
    if options.ids == Ids::Full {
        root.set_owner(&path, uid, gid).map_err(io::Error::other)?;
    }
    root.set_mode(&path, mode).map_err(io::Error::other)
}

/// A tar that lies ready, and what it has to be.
pub(super) struct Source {
    pub(super) reader: Option<Box<dyn Read + Send>>,
    pub(super) diff_id: Option<DiffId>,
}

/// Writes the tar of a tree.
pub(crate) fn write_tree(
    manifest: &Manifest,
    tree: &Path,
    clamp: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), LayerError> {
    let root = Root::open(tree).map_err(|e| LayerError::Read(io::Error::other(e)))?;
    let mut open = |entry: &Entry| -> io::Result<Box<dyn Read>> {
        let file = root.open_file(&entry.path, Follow::Parents).map_err(io::Error::other)?;
        Ok(Box::new(file))
    };
    layer::write_tar(manifest, &mut open, clamp, out)
}

/// Hashes and counts what passes.
struct Tally<'a> {
    out: &'a mut dyn Write,
    hasher: Hasher,
    size: u64,
}

impl Write for Tally<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A directory that goes when it was not committed.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_tree(&self.0);
    }
}
