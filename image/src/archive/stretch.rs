//! [`Stretch`]: a member of an archive that lies in a file, in one piece.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::copy_file_range;

/// How much is copied before it is read back, so that it still is in the processor's cache.
const STEP: u64 = 1 << 20;

/// Where a file has the bytes of a member.
#[derive(Debug, Clone)]
pub struct Stretch {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) spooled: Option<PathBuf>,
}

impl Stretch {
    /// Returns how many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns where they lie in a file of their own that the caller's spool has made: whoever
    /// keeps them may take that one. `None` for a stretch of somebody else's file.
    #[must_use]
    pub fn spooled(&self) -> Option<&PathBuf> {
        self.spooled.as_ref()
    }

    /// Returns the first bytes, as many as there are and fit.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn first(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && (filled as u64) < self.size {
            let most = usize::try_from(self.size - filled as u64).unwrap_or(usize::MAX);
            let end = buffer.len().min(filled.saturating_add(most));
            match self.file.read_at(&mut buffer[filled..end], self.offset + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Copies the bytes into `to`, an empty file that nobody else writes to, while the result is
    /// read. They are read back from there, so that what is seen is what was kept, also where
    /// somebody changes the archive meanwhile.
    #[must_use]
    pub fn copy_into(self, to: &File) -> Copying<'_> {
        Copying { from: self, to, copied: 0, read: 0 }
    }
}

/// A stretch that is copied while it is read; complete when it was read to its end.
#[derive(Debug)]
pub struct Copying<'a> {
    from: Stretch,
    to: &'a File,
    copied: u64,
    read: u64,
}

impl Copying<'_> {
    /// Copies some more, inside of the kernel if that can be.
    fn more(&mut self) -> io::Result<()> {
        let count = usize::try_from((self.from.size - self.copied).min(STEP)).unwrap_or(0);
        let (mut at, mut into) = (self.from.offset + self.copied, self.copied);
        match copy_file_range(&*self.from.file, Some(&mut at), self.to, Some(&mut into), count) {
            Ok(count) if count > 0 => {
                self.copied += count as u64;
                return Ok(());
            }
            // Between some filesystems, and from some, it can't. What else is wrong shows again.
            _ => {}
        }
        let mut buffer = vec![0; count];
        let count = self.from.file.read_at(&mut buffer, self.from.offset + self.copied)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.to.write_all_at(&buffer[..count], self.copied)?;
        self.copied += count as u64;
        Ok(())
    }
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.read == self.from.size {
            return Ok(0);
        }
        if self.read == self.copied {
            self.more()?;
        }
        let most = usize::try_from(self.copied - self.read).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let count = self.to.read_at(&mut buffer[..most], self.read)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read += count as u64;
        Ok(count)
    }
}
