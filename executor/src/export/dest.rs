//! Destinations: a file appears whole or not at all. Of one that is not whole nothing is left, even
//! where this process is killed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use gantry_image::archive::{Output, Streamed, WholeFile};

use super::ExportError;
use crate::request::Dest;

/// Something that an output is written to.
pub struct Target(Way);

enum Way {
    /// A file that appears once it is whole.
    File(BufWriter<WholeFile>),
    /// A device or a pipe.
    Special(BufWriter<fs_err::File>),
    Stream(Box<dyn Write + Send>),
}

/// A directory may be missing, but may not be a file (C4-09).
pub(super) fn check_directory(path: &Path) -> Result<(), ExportError> {
    match fs_err::metadata(path) {
        Ok(meta) if !meta.is_dir() => Err(ExportError::IsFile { path: path.to_path_buf() }),
        _ => Ok(()),
    }
}

/// A file may be there, but may not be a directory (C4-09).
pub(super) fn check_file(dest: &Dest) -> Result<(), ExportError> {
    match dest {
        Dest::Writer(_) => Ok(()),
        Dest::Directory(path) => Err(ExportError::IsDirectory { path: path.clone() }),
        Dest::File(path) => match fs_err::metadata(path) {
            Ok(meta) if meta.is_dir() => Err(ExportError::IsDirectory { path: path.clone() }),
            _ => Ok(()),
        },
    }
}

impl Target {
    /// Begins to write.
    ///
    /// # Errors
    /// [`ExportError`] for a destination that is a directory, or can't be written to.
    pub fn open(dest: Dest) -> Result<Self, ExportError> {
        check_file(&dest)?;
        let path = match dest {
            Dest::Writer(stream) => return Ok(Self(Way::Stream(stream))),
            Dest::File(path) | Dest::Directory(path) => path,
        };
        let what = format!("write `{}`", path.display());
        // A special file, such as `/dev/null`, is written to and not replaced.
        if fs_err::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            let file = fs_err::OpenOptions::new().write(true).open(&path);
            return Ok(Self(Way::Special(BufWriter::new(file.map_err(ExportError::io(what))?))));
        }
        let file = WholeFile::create(path).map_err(ExportError::io(what))?;
        Ok(Self(Way::File(BufWriter::with_capacity(1 << 17, file))))
    }

    /// Makes what was written appear, in place of what was there before. Returns where.
    ///
    /// # Errors
    /// [`ExportError`]; what was there before still is.
    pub fn finish(mut self) -> Result<Option<PathBuf>, ExportError> {
        match &mut self.0 {
            Way::File(out) => {
                let path = out.get_ref().path().to_path_buf();
                let published = out.flush().and_then(|()| out.get_mut().publish());
                published.map_err(ExportError::io(format!("write `{}`", path.display())))?;
                Ok(Some(path))
            }
            Way::Special(_) | Way::Stream(_) => {
                self.flush().map_err(ExportError::io("write the output"))?;
                Ok(None)
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::File(file) => file.write(bytes),
            Way::Special(file) => file.write(bytes),
            Way::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Way::File(file) => file.flush(),
            Way::Special(file) => file.flush(),
            Way::Stream(stream) => stream.flush(),
        }
    }
}

impl Output for Target {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        match &mut self.0 {
            Way::File(out) => out.write_from(file, count),
            Way::Special(out) => out.write_from(file, count),
            Way::Stream(stream) => Streamed(stream).write_from(file, count),
        }
    }
}
