//! Where the members of an archive are read from.

use std::io::{self, Read};
use std::path::PathBuf;

use super::ArchiveError;

/// Keeps the members of a stream that can't be read twice. The caller says where.
pub trait Spool {
    /// Stores what `data` yields, and returns a number to open it by.
    ///
    /// # Errors
    /// What reading or writing fails with.
    fn store(&mut self, data: &mut dyn Read) -> io::Result<u64>;

    /// Opens what was stored.
    ///
    /// # Errors
    /// What opening fails with.
    fn open(&self, number: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// A [`Spool`] of numbered files in a directory, which the caller removes.
#[derive(Debug)]
pub struct DirectorySpool {
    directory: PathBuf,
    next: u64,
}

impl DirectorySpool {
    /// Uses a directory that exists and that nobody else writes into.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), next: 0 }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }
}

impl Spool for DirectorySpool {
    fn store(&mut self, data: &mut dyn Read) -> io::Result<u64> {
        let number = self.next;
        self.next += 1;
        let mut file =
            fs_err::OpenOptions::new().write(true).create_new(true).open(self.path(number))?;
        io::copy(data, &mut file)?;
        Ok(number)
    }

    fn open(&self, number: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs_err::File::open(self.path(number))?))
    }
}

/// The members of an archive by name.
pub(super) trait Source: Send {
    /// Opens a member; links inside the archive are followed within it.
    fn open(&self, name: &str) -> Result<(u64, Box<dyn Read + Send + '_>), ArchiveError>;

    /// Is there such a member?
    fn has(&self, name: &str) -> bool;
}
