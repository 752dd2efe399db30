//! Streams: what can't be read twice is kept where the caller says.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::ArchiveError;
use super::index::{Index, MEMBERS, Place};
use super::output::pump;
use super::source::{Opened, Source};
use super::stretch::Stretch;
use crate::layer::{Chunk, Limits, Members};

/// Keeps the members of a stream that can't be read twice. The caller says where.
pub trait Spool: Send + Sync {
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

    /// Says where what was stored lies, if in a file of its own that nobody writes to any more.
    fn file(&self, _number: u64) -> Option<PathBuf> {
        None
    }
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
        pump(data, &mut file)?;
        Ok(number)
    }

    fn open(&self, number: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs_err::File::open(self.path(number))?))
    }

    fn file(&self, number: u64) -> Option<PathBuf> {
        Some(self.path(number))
    }
}

/// A stream whose files went into a spool.
pub(super) struct SpooledTar<'a> {
    spool: &'a mut dyn Spool,
    index: Index,
}

impl<'a> SpooledTar<'a> {
    pub(super) fn read(stream: impl Read, spool: &'a mut dyn Spool) -> Result<Self, ArchiveError> {
        let mut members = Members::new(stream, Limits { entries: MEMBERS, ..Limits::default() });
        // The tar is read to its end, so that whoever writes to us doesn't get a broken pipe.
        let index = Index::read(&mut members, |members, stored| {
            let mut data = MemberReader { members, hole: 0 };
            let number = spool.store(&mut data).map_err(ArchiveError::Read)?;
            Ok(Place::Spooled { number, size: stored.size })
        })?;
        members.drain().map_err(ArchiveError::Tar)?;
        Ok(Self { spool, index })
    }
}

impl Source for SpooledTar<'_> {
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError> {
        match self.index.find(name)? {
            Place::Spooled { number, size } => {
                Ok((*size, self.spool.open(*number).map_err(ArchiveError::Read)?))
            }
            _ => Err(ArchiveError::Missing(name.to_owned())),
        }
    }

    fn stretch(&self, name: &str) -> Result<Option<Stretch>, ArchiveError> {
        let Place::Spooled { number, size } = *self.index.find(name)? else { return Ok(None) };
        let Some(path) = self.spool.file(number) else { return Ok(None) };
        let file = fs_err::File::open(&path).map_err(ArchiveError::Read)?.into_parts().0;
        Ok(Some(Stretch { file: Arc::new(file), offset: 0, size, spooled: Some(path) }))
    }

    fn has(&self, name: &str) -> bool {
        self.index.find(name).is_ok()
    }
}

/// The current member's bytes, with zeros where it has holes.
struct MemberReader<'a, R> {
    members: &'a mut Members<R>,
    hole: u64,
}

impl<R: Read> Read for MemberReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.hole == 0 {
            match self.members.chunk(buffer).map_err(io::Error::other)? {
                Chunk::End => return Ok(0),
                Chunk::Data(n) => return Ok(n),
                Chunk::Hole(n) => self.hole = n,
            }
        }
        let n = usize::try_from(self.hole).unwrap_or(usize::MAX).min(buffer.len());
        buffer[..n].fill(0);
        self.hole -= n as u64;
        Ok(n)
    }
}
