//! Blobs: bytes that are named by their sha256.
//!
//! Owns `blobs/`. A blob is written below `work/` and gets its name by one rename, once its digest
//! is known to be right.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use fs_err as fs;
use gantry_image::{Digest, Hasher};
use rusqlite::{Connection, OptionalExtension};

use crate::StoreError;
use crate::db::WriteError;
use crate::error::Context;
use crate::lease::line_of_blob;
use crate::prune;
use crate::store::Inner;

/// The blobs of a store.
#[derive(Debug, Clone, Copy)]
pub struct Blobs<'s> {
    pub(crate) inner: &'s Inner,
}

impl<'s> Blobs<'s> {
    /// Begins a blob. Dropping the writer instead of finishing it leaves nothing.
    ///
    /// # Errors
    /// When its file can't be made.
    pub fn writer(&self) -> Result<BlobWriter<'s>, StoreError> {
        let path = self.inner.owner()?.fresh("blob");
        let file = fs::File::create_new(&path).doing(|| format!("create `{}`", path.display()))?;
        Ok(BlobWriter { inner: self.inner, file, path, hasher: Hasher::new(), size: 0 })
    }

    /// Stores bytes that lie in memory.
    ///
    /// # Errors
    /// As [`BlobWriter::finish`].
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let text = digest.to_string();
        self.inner.lease_own(line_of_blob(&text))?;
        if self.inner.is_kept_blob(&text)? {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.write_all(bytes).doing(|| format!("write the blob `{digest}`"))?;
        writer.finish(Some(digest)).map(|(digest, _)| digest)
    }

    /// Opens a blob for reading. It is not verified anew: `fsck` does that.
    ///
    /// # Errors
    /// When the database or the file can't be read; a blob that isn't there is `None`.
    pub fn open(&self, digest: &Digest) -> Result<Option<fs::File>, StoreError> {
        if self.size(digest)?.is_none() {
            return Ok(None);
        }
        let path = self.path(digest);
        match fs::File::open(&path) {
            Ok(file) => Ok(Some(file)),
            // Pruned meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("open `{}`", path.display()), error)),
        }
    }

    /// Reads a small blob (a manifest or config) whole.
    ///
    /// # Errors
    /// [`StoreError::BadFile`] if it is larger than `limit` or its bytes are not what its name
    /// says; a blob that isn't there is `None`.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.open(digest)? else { return Ok(None) };
        let path = self.path(digest);
        let mut bytes = Vec::new();
        let doing = || format!("read `{}`", path.display());
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).doing(doing)?;
        let bad = |why: String| Err(StoreError::BadFile { path: path.clone(), why });
        if bytes.len() as u64 > limit {
            return bad(format!("it is larger than {limit} bytes"));
        }
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return bad(format!("its digest is `{actual}`"));
        }
        Ok(Some(bytes))
    }

    /// Returns the size of a blob, or `None` if it isn't there.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let text = digest.to_string();
        self.inner.db.read(|connection| {
            connection
                .prepare_cached("select size from blobs where digest = ?1")?
                .query_row([&text], |row| row.get(0))
                .optional()
        })
    }

    /// Says where a blob lies, or would.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.inner.layout.blob(digest)
    }
}

/// A blob being written.
#[derive(Debug)]
pub struct BlobWriter<'s> {
    inner: &'s Inner,
    file: fs::File,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl BlobWriter<'_> {
    /// Gives the blob its name, and returns that and its size. It is leased by the store's handle.
    ///
    /// # Errors
    /// [`StoreError::DigestMismatch`] if it isn't the `expected` one: nothing is kept then.
    pub fn finish(mut self, expected: Option<Digest>) -> Result<(Digest, u64), StoreError> {
        let actual = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(StoreError::DigestMismatch { expected, actual });
        }
        let (inner, text) = (self.inner, actual.to_string());
        inner.lease_own(line_of_blob(&text))?;
        let to = inner.layout.blob(&actual);
        let mut named = false;
        let stored = inner.db.write(|tx| {
            let now = inner.now();
            let known = tx
                .prepare_cached("update blobs set used = ?2, dying = 0 where digest = ?1")?
                .execute((&text, now))?;
            if known > 0 && to.exists() {
                return Ok(());
            }
            fs::rename(&self.path, &to).doing(|| format!("store the blob `{actual}`"))?;
            named = true;
            tx.prepare_cached(
                "insert into blobs (digest, size, created, used, unsynced) \
                 values (?1, ?2, ?3, ?3, ?4) \
                 on conflict do update set used = ?3, unsynced = ?4, dying = 0",
            )?
            .execute((&text, self.size, now, Inner::epoch(tx)?))?;
            Ok(())
        });
        if stored.is_err() && named {
            // The disk was full when it came to the row. What resists is a leftover.
            let _ = prune::remove_orphan(inner, &to);
        }
        stored?;
        Ok((actual, self.size))
    }

    /// Returns how many bytes were written so far.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        // Gone already, if it got its name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Drops a blob's row and what can't be without it.
///
/// Layers that lived on this blob alone are left without a form; see `layers::drop_formless`.
pub(crate) fn forget(tx: &Connection, digest: &str) -> Result<(), WriteError> {
    tx.prepare_cached("delete from layer_blobs where digest = ?1")?.execute([digest])?;
    for image in crate::images::naming_blob(tx, digest)? {
        crate::images::forget(tx, &image)?;
    }
    crate::images::forget_lists(tx, digest)?;
    tx.prepare_cached("delete from blobs where digest = ?1")?.execute([digest])?;
    Ok(())
}
