//! Destinations: a file appears whole, by a rename, or not at all.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use gantry_image::archive::{Output, Streamed};

use super::ExportError;
use crate::request::Dest;

/// Something that an output is written to.
pub(crate) enum Target {
    /// A file beside its final name.
    File(Box<Staged>),
    Stream(Box<dyn Write + Send>),
}

/// A file that is not whole yet; removed if it never becomes so.
pub(crate) struct Staged {
    out: BufWriter<fs_err::File>,
    staged: PathBuf,
    path: PathBuf,
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
    pub(crate) fn open(dest: Dest) -> Result<Self, ExportError> {
        check_file(&dest)?;
        let path = match dest {
            Dest::Writer(stream) => return Ok(Self::Stream(stream)),
            Dest::File(path) | Dest::Directory(path) => path,
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or_else(|| Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let staged = dir.join(format!(".{name}.{}.part", std::process::id()));
        let what = format!("write `{}`", path.display());
        // A special file, such as `/dev/null`, is written to and not replaced.
        if fs_err::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            let file = fs_err::OpenOptions::new().write(true).open(&path);
            return Ok(Self::Stream(Box::new(BufWriter::new(
                file.map_err(ExportError::io(what))?,
            ))));
        }
        let file = fs_err::File::create(&staged).map_err(ExportError::io(what))?;
        let out = BufWriter::with_capacity(1 << 17, file);
        Ok(Self::File(Box::new(Staged { out, staged, path })))
    }

    /// Makes what was written appear.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>, ExportError> {
        match self {
            Self::Stream(mut stream) => {
                stream.flush().map_err(ExportError::io("write the output"))?;
                Ok(None)
            }
            Self::File(mut file) => {
                let what = format!("write `{}`", file.path.display());
                file.out.flush().map_err(ExportError::io(what.clone()))?;
                fs_err::rename(&file.staged, &file.path).map_err(ExportError::io(what))?;
                Ok(Some(file.path.clone()))
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already if it was finished.
        let _ = fs_err::remove_file(&self.staged);
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.out.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.out.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

impl Output for Target {
    fn write_from(&mut self, file: &std::fs::File, count: u64) -> io::Result<u64> {
        match self {
            Self::File(staged) => staged.out.write_from(file, count),
            Self::Stream(stream) => Streamed(stream).write_from(file, count),
        }
    }
}
