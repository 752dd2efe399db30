//! [`WholeFile`]: a file that appears when it is whole, or never.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::output::Output;

/// A file that gets its name when it is whole. Of one that never is, because writing failed or this
/// process was killed, nothing is left where the filesystem knows files without a name.
#[derive(Debug)]
pub struct WholeFile {
    file: fs_err::File,
    /// Where it lies meanwhile, if anywhere.
    staged: Option<PathBuf>,
    path: PathBuf,
}

impl WholeFile {
    /// Begins a file that will be called `path`.
    ///
    /// # Errors
    /// Where there can be no file.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match unnamed(directory(&path)) {
            Some(file) => {
                let file = fs_err::File::from_parts(file, path.clone());
                Ok(Self { file, staged: None, path })
            }
            None => Self::named(path),
        }
    }

    /// Begins one beside its final name.
    fn named(path: PathBuf) -> io::Result<Self> {
        let staged = beside(&path);
        Ok(Self { file: fs_err::File::create(&staged)?, staged: Some(staged), path })
    }

    /// Returns what it will be called.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in place of what was there before.
    ///
    /// # Errors
    /// Where that can't be; what was there before still is.
    pub fn publish(&mut self) -> io::Result<()> {
        if self.staged.is_none() {
            let link = |to: &Path| {
                let from = through_proc(&self.file);
                rustix::fs::linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW)
            };
            match link(&self.path) {
                // A link replaces nothing, a renaming does.
                Err(Errno::EXIST) => {
                    let staged = beside(&self.path);
                    // What somebody left who had the same number and was killed right here.
                    match fs_err::remove_file(&staged) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        _ => link(&staged)?,
                    }
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

impl Drop for WholeFile {
    fn drop(&mut self) {
        // Gone already if it has its name.
        if let Some(staged) = &self.staged {
            let _ = fs_err::remove_file(staged);
        }
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output for WholeFile {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        self.file.write_from(file, count)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Both without a name meanwhile and, as where that can't be, with one.
    #[test]
    fn a_file_appears_when_it_is_whole_in_place_of_what_was_there() {
        type Create = fn(PathBuf) -> io::Result<WholeFile>;
        let ways: [(Create, usize); 2] = [(WholeFile::create, 0), (WholeFile::named, 1)];
        for (create, meanwhile) in ways {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out.tar");
            let there = || fs_err::read_dir(dir.path()).unwrap().count();
            for (number, text) in ["first", "second"].into_iter().enumerate() {
                let old = fs_err::read(&path).ok();
                for whole in [false, true] {
                    let mut file = create(path.clone()).unwrap();
                    file.write_all(text.as_bytes()).unwrap();
                    assert_eq!(there(), number + meanwhile);
                    assert_eq!(fs_err::read(&path).ok(), old);
                    if whole {
                        file.publish().unwrap();
                    }
                    drop(file);
                    assert_eq!(there(), usize::from(whole).max(number));
                }
                assert_eq!(fs_err::read(&path).unwrap(), text.as_bytes());
            }
        }
    }

    #[test]
    fn what_one_who_was_killed_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.tar");
        fs_err::write(&path, "old").unwrap();
        fs_err::write(beside(&path), "left").unwrap();
        let mut file = WholeFile::create(path.clone()).unwrap();
        file.write_all(b"new").unwrap();
        file.publish().unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        assert!(!beside(&path).exists());
    }
}
