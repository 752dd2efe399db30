//! Mount points: found inside the detached root, or made there by [`stubs`](super::stubs).
//!
//! A target is resolved with every symlink kept inside the mount it lies in. Targets inside mounts
//! made before (`/dev/shm` in `/dev`) are looked up in those, which are detached too.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_tree::{FileKind, Follow, Root, TreeError, TreePath};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::stubs::{Stubs, make_one};
use crate::SpawnError;

/// What a mount point has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// Anything but a directory.
    File,
}

/// The tree as the child will see it: the root, and the mounts that go into it.
pub(crate) struct Places {
    root: Root,
    stubs: Stubs,
    mounts: Vec<(TreePath, Option<Root>)>,
}

impl Places {
    /// Begins with nothing but the root. `upper` is where its overlay keeps changes.
    pub(crate) fn new(root: Root, upper: Option<PathBuf>) -> Self {
        let stubs = Stubs::new(root.clone(), upper);
        Self { root, stubs, mounts: Vec::new() }
    }

    /// The root of the mount that goes to `at`.
    pub(crate) fn inside(&self, at: &TreePath) -> Option<Root> {
        self.mounts.iter().rev().find(|(path, _)| path == at).and_then(|(_, root)| root.clone())
    }

    /// Opens the mount point for a filesystem that every sandbox has. It must not be a symlink:
    /// what is mounted there has to be where programs look for it.
    pub(crate) fn system(&mut self, name: &str) -> Result<OwnedFd, SpawnError> {
        let path = clamp(Path::new(name))?;
        if let Ok(stat) = self.root.stat(&path, Follow::Parents)
            && stat.kind != FileKind::Dir
        {
            return Err(refused(Path::new(name), "the root filesystem has no directory there"));
        }
        self.stubs.make(&path, Kind::Directory).map_err(|error| failed(name, error))?;
        open(self.root.as_fd(), &path).map_err(|errno| failed_open(name, errno))
    }

    /// Finds (or makes) the mount point that `target` leads to, and where that is.
    pub(crate) fn target(
        &mut self,
        target: &Path,
        kind: Kind,
    ) -> Result<(OwnedFd, TreePath), SpawnError> {
        let name = target.to_string_lossy();
        if !target.is_absolute() {
            return Err(refused(target, "it is not an absolute path"));
        }
        let given = clamp(target)?;
        if given.is_root() {
            return Err(refused(target, "it is the root"));
        }
        let path = self.root.resolve(&given, Follow::Last).map_err(|error| failed(&name, error))?;
        // The innermost mount that the path lies in; a path that *is* a mount goes on top of it.
        let covering = self
            .mounts
            .iter()
            .rev()
            .filter(|(at, _)| path.starts_with(at))
            .max_by_key(|(at, _)| at.as_bytes().len());
        let Some((at, inner)) = covering else {
            self.stubs.make(&path, kind).map_err(|error| failed(&name, error))?;
            return Ok((self.open_as(target, &self.root, &path, kind)?, path));
        };
        let (at, inner) = (at.clone(), inner.clone());
        let Some(inner) = inner else {
            return Err(refused(target, "it lies in a filesystem of the kernel, or in a file"));
        };
        let rest = path.strip_prefix(&at).unwrap_or_default();
        let rest = inner.resolve(&rest, Follow::Last).map_err(|error| failed(&name, error))?;
        make_in(&inner, &rest, kind).map_err(|error| failed(&name, error))?;
        let fd = self.open_as(target, &inner, &rest, kind)?;
        Ok((fd, at.join_path(&rest)))
    }

    /// Remembers that a mount goes to `at`; `inside` is its root, if targets may lie in it.
    pub(crate) fn mounted(&mut self, at: TreePath, inside: Option<Root>) {
        self.mounts.push((at, inside));
    }

    /// Closes the mounts: once the child has them, they are to go with it.
    pub(crate) fn forget_mounts(&mut self) {
        self.mounts.clear();
    }

    /// Removes the mount points that were made, once the child has ended.
    pub(crate) fn clean(&mut self) {
        self.stubs.clean();
    }

    /// Makes a directory (and its parents) that stays.
    pub(crate) fn keep_directory(&mut self, path: &Path) -> Result<(), SpawnError> {
        let made = self.stubs.count();
        self.target(path, Kind::Directory)?;
        self.stubs.keep_from(made);
        Ok(())
    }

    fn open_as(
        &self,
        target: &Path,
        root: &Root,
        path: &TreePath,
        kind: Kind,
    ) -> Result<OwnedFd, SpawnError> {
        let name = target.to_string_lossy();
        let fd = open(root.as_fd(), path).map_err(|errno| failed_open(&name, errno))?;
        let mode = rustix::fs::fstat(&fd).map_err(|errno| failed_open(&name, errno))?.st_mode;
        let directory = rustix::fs::FileType::from_raw_mode(mode).is_dir();
        match (kind, directory) {
            (Kind::Directory, false) => Err(refused(target, "a directory cannot cover a file")),
            (Kind::File, true) => Err(refused(target, "a file cannot cover a directory")),
            _ => Ok(fd),
        }
    }
}

fn make_in(root: &Root, path: &TreePath, kind: Kind) -> Result<(), TreeError> {
    if root.stat(path, Follow::Parents).is_ok() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        root.mkdir_all(&parent, 0o755)?;
    }
    make_one(root, path, kind)
}

/// Opens a path that has been resolved: a symlink on it now was put there since.
fn open(root: BorrowedFd<'_>, path: &TreePath) -> rustix::io::Result<OwnedFd> {
    let bytes = if path.is_root() { b"." } else { path.as_bytes() };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, OsStr::from_bytes(bytes), flags, Mode::empty(), resolve)
}

fn clamp(path: &Path) -> Result<TreePath, SpawnError> {
    TreePath::clamp(path.as_os_str().as_bytes()).map_err(|_| refused(path, "it holds a NUL byte"))
}

fn refused(target: &Path, reason: &'static str) -> SpawnError {
    SpawnError::MountTarget { target: target.to_owned(), reason }
}

fn failed(target: &str, error: TreeError) -> SpawnError {
    SpawnError::Mount {
        target: target.to_owned(),
        what: "no mount point".to_owned(),
        cause: std::io::Error::other(error),
    }
}

fn failed_open(target: &str, errno: rustix::io::Errno) -> SpawnError {
    SpawnError::Mount {
        target: target.to_owned(),
        what: "its mount point cannot be opened".to_owned(),
        cause: errno.into(),
    }
}
