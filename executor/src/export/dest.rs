//! Destinations: a file appears whole or not at all. Of one that is not whole nothing is left, even
//! where this process is killed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use gantry_image::archive::{Output, Streamed};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::ExportError;
use crate::request::Dest;

/// Something that an output is written to.
pub struct Target(Way);

enum Way {
    /// A file that appears once it is whole.
    File(Box<Staged>),
    /// A device or a pipe.
    Special(BufWriter<fs_err::File>),
    Stream(Box<dyn Write + Send>),
}

/// A file that is not whole yet, and is gone if it never becomes so.
struct Staged {
    out: BufWriter<fs_err::File>,
    /// Where it lies meanwhile, if anywhere.
    staged: Option<PathBuf>,
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
        let staged = Staged::create(path).map_err(ExportError::io(what))?;
        Ok(Self(Way::File(Box::new(staged))))
    }

    /// Makes what was written appear, in place of what was there before. Returns where.
    ///
    /// # Errors
    /// [`ExportError`]; what was there before still is.
    pub fn finish(mut self) -> Result<Option<PathBuf>, ExportError> {
        match &mut self.0 {
            Way::File(file) => {
                let what = format!("write `{}`", file.path.display());
                file.publish().map_err(ExportError::io(what))?;
                Ok(Some(file.path.clone()))
            }
            Way::Special(_) | Way::Stream(_) => {
                self.flush().map_err(ExportError::io("write the output"))?;
                Ok(None)
            }
        }
    }
}

impl Staged {
    /// Creates a file without a name, which nobody has to remove, however this process ends; where
    /// there is no such thing, one beside its final name.
    fn create(path: PathBuf) -> io::Result<Self> {
        match unnamed(directory(&path)) {
            Some(file) => {
                let file = fs_err::File::from_parts(file, path.clone());
                Ok(Self { out: buffered(file), staged: None, path })
            }
            None => Self::named(path),
        }
    }

    fn named(path: PathBuf) -> io::Result<Self> {
        let staged = beside(&path);
        Ok(Self { out: buffered(fs_err::File::create(&staged)?), staged: Some(staged), path })
    }

    /// Gives it its final name.
    fn publish(&mut self) -> io::Result<()> {
        self.out.flush()?;
        if self.staged.is_none() {
            let link = |to: &Path| {
                let from = through_proc(self.out.get_ref());
                rustix::fs::linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW)
            };
            match link(&self.path) {
                // A link replaces nothing, a renaming does.
                Err(Errno::EXIST) => {
                    let staged = beside(&self.path);
                    link(&staged)?;
                    self.staged = Some(staged);
                }
                linked => return Ok(linked?),
            }
        }
        match &self.staged {
            Some(staged) => fs_err::rename(staged, &self.path),
            None => Ok(()),
        }
    }
}

fn buffered(file: fs_err::File) -> BufWriter<fs_err::File> {
    BufWriter::with_capacity(1 << 17, file)
}

/// Creates a file without a name that can get one later (`O_TMPFILE`, open(2)).
fn unnamed(directory: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(directory, flags, Mode::from_raw_mode(0o666)).ok()?);
    // Without `/proc` it would never get a name.
    through_proc(&file).exists().then_some(file)
}

fn through_proc(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn directory(path: &Path) -> &Path {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    directory.unwrap_or_else(|| Path::new("."))
}

/// A name beside the final one, this process's own.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    directory(path).join(format!(".{name}.{}.part", std::process::id()))
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already if it was finished.
        if let Some(staged) = &self.staged {
            let _ = fs_err::remove_file(staged);
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::File(file) => file.out.write(bytes),
            Way::Special(file) => file.write(bytes),
            Way::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Way::File(file) => file.out.flush(),
            Way::Special(file) => file.flush(),
            Way::Stream(stream) => stream.flush(),
        }
    }
}

impl Output for Target {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        match &mut self.0 {
            Way::File(staged) => staged.out.write_from(file, count),
            Way::Special(out) => out.write_from(file, count),
            Way::Stream(stream) => Streamed(stream).write_from(file, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole_in_place_of_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.tar");
        let there = || fs_err::read_dir(dir.path()).unwrap().count();
        for (number, text) in ["first", "second"].into_iter().enumerate() {
            let old = fs_err::read(&path).ok();
            for whole in [false, true] {
                let mut target = Target::open(Dest::File(path.clone())).unwrap();
                target.write_all(text.as_bytes()).unwrap();
                target.flush().unwrap();
                assert_eq!(there(), number);
                assert_eq!(fs_err::read(&path).ok(), old);
                if whole {
                    assert_eq!(target.finish().unwrap(), Some(path.clone()));
                }
            }
            assert_eq!(fs_err::read(&path).unwrap(), text.as_bytes());
            assert_eq!(there(), 1);
        }
    }

    /// Where there are no files without a name.
    #[test]
    fn a_file_with_a_name_of_its_own_is_renamed_or_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.tar");
        let there = || fs_err::read_dir(dir.path()).unwrap().count();
        for whole in [false, true] {
            let mut staged = Staged::named(path.clone()).unwrap();
            staged.out.write_all(b"text").unwrap();
            assert!(!path.exists() && there() == 1);
            if whole {
                staged.publish().unwrap();
            }
            drop(staged);
            assert_eq!((path.exists(), there()), (whole, usize::from(whole)));
        }
    }
}
