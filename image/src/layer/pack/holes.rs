//! Where a sparse file has nothing to read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Gives so many zeros away.
pub(super) fn zeros(mut count: u64, mut take: impl FnMut(&[u8])) {
    while count > 0 {
        let now = count.min(ZEROS.len() as u64);
        take(&ZEROS[..now as usize]);
        count -= now;
    }
}

/// The holes of a file, asked for from its beginning to its end.
pub(super) struct Holes {
    /// How long the file was when it was opened; zero where it has no holes.
    size: u64,
    /// Where the next data begin, as far as is known.
    data: u64,
}

impl Holes {
    /// Looks whether there can be any.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        // st_blocks is in units of 512 bytes whatever the filesystem: stat(3type).
        let sparse = found.blocks() * 512 < found.len();
        Ok(Self { size: if sparse { found.len() } else { 0 }, data: 0 })
    }

    /// Whether all of a range is a hole: its bytes are zeros, and need not be read. May move the
    /// file's position.
    pub(super) fn cover(&mut self, file: &File, range: &Range<u64>) -> bool {
        if range.end > self.size {
            return false;
        }
        if self.data <= range.start {
            self.data = match seek(file, SeekFrom::Data(range.start)) {
                Ok(at) => at,
                // No more data: lseek(2). Other errors say that the filesystem doesn't know.
                Err(Errno::NXIO) => self.size,
                Err(_) => range.start,
            };
        }
        range.end <= self.data
    }

    /// Whether the file was shortened since; what was a hole may then be none.
    pub(super) fn cut(&self, file: &File) -> io::Result<bool> {
        Ok(self.size > 0 && file.metadata()?.len() < self.size)
    }
}
