//! Context indexes: what is known of the files of a build context, so that they need not be read.
//!
//! Owns `contexts/`: one flat file per context, replaced by a rename, read in one go.

mod format;
mod index;

use std::path::PathBuf;

use fs_err as fs;

use crate::StoreError;
use crate::error::Context;
use crate::store::Inner;

pub use format::Look;
pub use index::{ContextIndex, ContextIndexBuilder};

use format::{HEADER, LOOKS, MAGIC, decode_looks, encode_looks};

/// The context indexes of a store.
#[derive(Debug, Clone, Copy)]
pub struct Contexts<'s> {
    pub(crate) inner: &'s Inner,
}

impl Contexts<'_> {
    /// Loads the index of a context, or `None` if there is none that can be used: one that does not
    /// read as an index, or as one of another version, only means that files are read again.
    ///
    /// `id` is whatever tells contexts apart, such as the directory's path.
    ///
    /// # Errors
    /// When there is a file and it can't be read.
    pub fn load(&self, id: &[u8]) -> Result<Option<ContextIndex>, StoreError> {
        let path = self.path(id);
        match fs::read(&path) {
            Ok(bytes) => Ok(ContextIndex::decode(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("read `{}`", path.display()), error)),
        }
    }

    /// Reads what selections of a context looked like, and nothing else of its index.
    ///
    /// # Errors
    /// When there is a file and it can't be read.
    pub fn looks(&self, id: &[u8]) -> Result<Vec<Look>, StoreError> {
        let path = self.path(id);
        let mut head = Vec::with_capacity(HEADER);
        let read = fs::File::open(&path).and_then(|file| {
            std::io::Read::read_to_end(&mut std::io::Read::take(file, HEADER as u64), &mut head)
        });
        match read {
            Ok(_) if head.len() == HEADER && head.starts_with(MAGIC) => {
                Ok(decode_looks(&head[LOOKS..]))
            }
            Ok(_) => Ok(Vec::new()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::io(format!("read `{}`", path.display()), error)),
        }
    }

    /// Replaces the looks alone. Nothing happens where there is no index.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn keep_looks(&self, id: &[u8], looks: &[Look]) -> Result<(), StoreError> {
        use std::os::unix::fs::FileExt;
        let path = self.path(id);
        let doing = || format!("write `{}`", path.display());
        let file = match fs::OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.doing(doing)?,
        };
        let mut magic = [0; MAGIC.len()];
        let ours = file.file().read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC;
        match ours {
            true => file.file().write_all_at(&encode_looks(looks), LOOKS as u64).doing(doing),
            false => Ok(()),
        }
    }

    /// Replaces the index of a context. Of two who do so at the same time, one wins.
    ///
    /// # Errors
    /// When it can't be written; the old one stays then.
    pub fn save(&self, id: &[u8], index: ContextIndexBuilder<'_>) -> Result<(), StoreError> {
        let path = self.path(id);
        let staged = self.inner.owner()?.fresh("context");
        let doing = || format!("write `{}`", path.display());
        let written = fs::write(&staged, index.encode()).and_then(|()| fs::rename(&staged, &path));
        if written.is_err() {
            // The owner's directory would take it along in the end, too.
            let _ = fs::remove_file(&staged);
        }
        written.doing(doing)
    }

    fn path(&self, id: &[u8]) -> PathBuf {
        self.inner.layout.contexts().join(blake3::hash(id).to_hex().as_str())
    }
}
