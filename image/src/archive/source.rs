//! Where the members of an archive are read from: what all sources have in common, and a directory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;

use gantry_tree::{Follow, Root, TreePath};

use super::ArchiveError;
use super::stretch::Stretch;

const BUFFER: usize = 256 << 10;

/// A member that was opened: its size and its bytes.
pub(super) type Opened<'a> = (u64, Box<dyn Read + Send + 'a>);

/// The members of an archive by name.
pub(super) trait Source: Send + Sync {
    /// Opens a member; links inside the archive are followed within it.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`] if it isn't there or is no file.
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError>;

    /// Says where a member lies, if that is a file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn stretch(&self, _name: &str) -> Result<Option<Stretch>, ArchiveError> {
        Ok(None)
    }

    /// Is there such a file?
    fn has(&self, name: &str) -> bool;

    /// Reads a small member whole.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let (size, data) = self.open(name)?;
        let mut bytes = Vec::new();
        if size <= limit {
            data.take(limit + 1).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
        }
        if size > limit || bytes.len() as u64 > limit {
            return Err(ArchiveError::refused(name, format!("it is larger than {limit} bytes")));
        }
        Ok(bytes)
    }
}

/// An OCI layout in a directory.
pub(super) struct Directory(pub(super) Root);

impl Directory {
    fn file(&self, name: &str) -> Result<(u64, File), ArchiveError> {
        let path =
            TreePath::new(name).map_err(|err| ArchiveError::refused(name, err.to_string()))?;
        let file = match self.0.open_file(&path, Follow::Last) {
            Err(err) if err.is_not_found() => return Err(ArchiveError::Missing(name.to_owned())),
            file => file.map_err(ArchiveError::Directory)?,
        };
        let size = file.metadata().map_err(ArchiveError::Read)?.len();
        Ok((size, file))
    }
}

impl Source for Directory {
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError> {
        let (size, file) = self.file(name)?;
        Ok((size, Box::new(BufReader::with_capacity(BUFFER, file))))
    }

    fn stretch(&self, name: &str) -> Result<Option<Stretch>, ArchiveError> {
        let (size, file) = self.file(name)?;
        Ok(Some(Stretch { file: Arc::new(file), offset: 0, size, spooled: None }))
    }

    fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }
}
