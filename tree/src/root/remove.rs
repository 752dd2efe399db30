//! Deleting trees: any depth, any mode, no links followed, no mounts entered.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::{Errno, Result as SysResult};

use super::open::below_one_mount;
use super::write::chmod;
use super::{DIR, Root, list, stat_fd};
use crate::{FileKind, TreeError, TreePath};

/// A directory to delete, before and after its contents are gone.
enum Task {
    Empty(TreePath),
    Remove(TreePath),
}

impl Root {
    /// Removes whatever lies at `path` with all below it; nothing there is no error. The root
    /// itself is emptied and stays.
    ///
    /// A directory that may not be read is made readable first, if it is ours. Another file system
    /// mounted somewhere below is the error `EXDEV`, and nothing in it is touched.
    pub fn remove_all(&self, path: &TreePath) -> Result<(), TreeError> {
        if !path.is_root() {
            match self.remove_file(path) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                // Linux says `EISDIR` for directories, POSIX `EPERM`.
                Err(TreeError::Io { ref source, .. })
                    if matches!(Errno::from_io_error(source), Some(Errno::ISDIR | Errno::PERM)) => {
                }
                // A parent that is a file or missing holds nothing either.
                Err(error) => return Err(error),
            }
        }
        let mut tasks = vec![Task::Empty(path.clone())];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Empty(dir) => self.empty(dir, &mut tasks)?,
                Task::Remove(dir) if dir.is_root() => {}
                Task::Remove(dir) => match self.remove_dir(&dir) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// Removes all files of a directory and plans the removal of its directories.
    fn empty(&self, dir: TreePath, tasks: &mut Vec<Task>) -> Result<(), TreeError> {
        let failed = |path: &TreePath, error| TreeError::io("remove", path.as_bytes(), error);
        let fd = match self.open_for_removal(&dir) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(failed(&dir, error)),
        };
        let names = list(&fd).map_err(|error| failed(&dir, error))?;
        let mut dirs = Vec::new();
        for (name, kind, _) in names.iter() {
            let removed = match kind {
                FileKind::Dir => Err(Errno::ISDIR),
                _ => unlinkat(&fd, name, AtFlags::empty()),
            };
            match removed {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => dirs.push(Task::Empty(dir.child(name))),
                Err(error) => return Err(failed(&dir.child(name), error)),
            }
        }
        tasks.push(Task::Remove(dir));
        tasks.append(&mut dirs);
        Ok(())
    }

    /// Opens a directory, with all of its owner's rights, so that it can be listed and emptied.
    fn open_for_removal(&self, dir: &TreePath) -> SysResult<OwnedFd> {
        let flags = DIR.union(OFlags::NOFOLLOW);
        let fd = match below_one_mount(self.as_fd(), dir.as_bytes(), flags) {
            Err(Errno::ACCESS) => {
                self.unlock(dir)?;
                below_one_mount(self.as_fd(), dir.as_bytes(), flags)?
            }
            answer => answer?,
        };
        if stat_fd(&fd)?.mode & 0o700 != 0o700 {
            // If it isn't ours to change, then perhaps ours to delete: that will show.
            let _ = fchmod(&fd, Mode::RWXU);
        }
        Ok(fd)
    }

    /// Gives the owner back all rights on a directory.
    fn unlock(&self, dir: &TreePath) -> SysResult<()> {
        let parent = dir.parent_bytes().unwrap_or_default();
        let parent = below_one_mount(self.as_fd(), parent, DIR.union(OFlags::PATH))?;
        chmod(parent.as_fd(), dir.file_name().unwrap_or(b"."), 0o700)
    }
}

/// Removes a directory (or file) of the host by a trusted path, with all below it; nothing there is
/// no error. Follows no symbolic link at or below it, crosses no mount.
pub fn remove_tree(path: impl AsRef<Path>) -> Result<(), TreeError> {
    let path = path.as_ref();
    let bytes = path.as_os_str().as_encoded_bytes();
    let failed = |error| TreeError::io("remove", bytes, error);
    let Some(name) = path.file_name() else {
        return Err(failed(Errno::INVAL));
    };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = match openat(CWD, parent, DIR.union(OFlags::PATH), Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        answer => Root::from_fd(answer.map_err(failed)?),
    };
    let name = TreePath::new(name.as_encoded_bytes()).map_err(|_| failed(Errno::INVAL))?;
    parent.remove_all(&name)
}
