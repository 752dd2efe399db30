//! Mount points: found and made inside the detached root, remembered, removed after the step.
//!
//! A target is resolved with every symlink kept inside the mount it lies in. Targets inside mounts
//! made before (`/dev/shm` in `/dev`) are looked up in those, which are detached too.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_tree::{FileKind, Follow, Root, Stat, Time, TreeError, TreePath};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

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
    upper: Option<PathBuf>,
    mounts: Vec<(TreePath, Option<Root>)>,
    made: Vec<(TreePath, Kind)>,
    touched: Vec<Touched>,
}

/// A directory of the root filesystem in which something was made.
struct Touched {
    path: TreePath,
    before: Stat,
    /// Whether the upper directory had it before.
    in_upper: bool,
    after: Option<Time>,
}

impl Places {
    /// Begins with nothing but the root. `upper` is where its overlay keeps changes.
    pub(crate) fn new(root: Root, upper: Option<PathBuf>) -> Self {
        Self { root, upper, mounts: Vec::new(), made: Vec::new(), touched: Vec::new() }
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
        self.make(&path, Kind::Directory).map_err(|error| failed(name, error))?;
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
            self.make(&path, kind).map_err(|error| failed(&name, error))?;
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

    /// Makes a directory (and its parents) that stays.
    pub(crate) fn keep_directory(&mut self, path: &Path) -> Result<(), SpawnError> {
        let made = self.made.len();
        self.target(path, Kind::Directory)?;
        self.made.truncate(made);
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

    /// Makes what is missing of a resolved path in the root filesystem, and remembers it.
    fn make(&mut self, path: &TreePath, kind: Kind) -> Result<(), TreeError> {
        if self.root.stat(path, Follow::Parents).is_ok() {
            return Ok(());
        }
        let mut missing = vec![path.clone()];
        for parent in path.ancestors() {
            match self.root.stat(&parent, Follow::Parents) {
                Ok(before) => {
                    self.touch(parent, before)?;
                    break;
                }
                Err(error) if error.is_not_found() => missing.push(parent),
                Err(error) => return Err(error),
            }
        }
        while let Some(next) = missing.pop() {
            let kind = if missing.is_empty() { kind } else { Kind::Directory };
            make_one(&self.root, &next, kind)?;
            self.made.push((next, kind));
        }
        for touched in &mut self.touched {
            touched.after = self.root.stat(&touched.path, Follow::Parents).ok().map(|s| s.mtime);
        }
        Ok(())
    }

    /// Remembers a directory before it is changed, and those above: they are copied up with it.
    fn touch(&mut self, path: TreePath, before: Stat) -> Result<(), TreeError> {
        let mut next = Some((path, before));
        while let Some((path, before)) = next {
            let parent = path.parent().filter(|parent| !parent.is_root());
            if self.touched.iter().all(|touched| touched.path != path) {
                let in_upper = self.upper.as_ref().is_none_or(|upper| {
                    fs_err::symlink_metadata(upper.join(path.as_path())).is_ok()
                });
                self.touched.push(Touched { path, before, in_upper, after: None });
            }
            next = match parent {
                None => None,
                Some(parent) => {
                    let stat = self.root.stat(&parent, Follow::Parents)?;
                    Some((parent, stat))
                }
            };
        }
        Ok(())
    }

    /// Removes what was made and is still empty, and puts back the times of what it was made in.
    ///
    /// For when the child has ended; failures are left alone, as the worst that comes of one is
    /// an empty directory in the layer.
    fn clean(&mut self) {
        let Self { root, upper, made, touched, .. } = self;
        let (made, mut touched) = (std::mem::take(made), std::mem::take(touched));
        // Where the time is not the one that our own change left, the step has changed the
        // directory too, and its time is to stay.
        for touched in &mut touched {
            let now = root.stat(&touched.path, Follow::Parents).ok().map(|stat| stat.mtime);
            let ours = now == touched.after;
            touched.after = if ours { Some(touched.before.mtime) } else { now };
        }
        for (path, kind) in made.iter().rev() {
            let _ = match (kind, root.stat(path, Follow::Parents)) {
                (Kind::Directory, Ok(stat)) if stat.kind == FileKind::Dir => root.remove_dir(path),
                (Kind::File, Ok(stat)) if stat.kind == FileKind::File && stat.size == 0 => {
                    root.remove_file(path)
                }
                _ => Ok(()),
            };
        }
        for Touched { path, after, .. } in &touched {
            let now = root.stat(path, Follow::Parents).ok().map(|stat| stat.mtime);
            if let (Some(time), true) = (*after, now != *after) {
                let _ = root.set_mtime(path, time);
            }
        }
        let Some(upper) = upper else { return };
        // Directories that were copied up for this alone say nothing new, so the layer is better
        // without them. The deepest first.
        touched.sort_by_key(|touched| std::cmp::Reverse(touched.path.as_bytes().len()));
        let copied: Vec<_> = touched
            .into_iter()
            .filter(|touched| !touched.in_upper && !touched.path.is_root())
            .map(|touched| (root.xattrs(&touched.path).ok(), touched))
            .collect();
        // The overlay is used by nobody any more, so its upper directory may be changed.
        if let Ok(upper) = Root::open(&*upper) {
            for (xattrs, touched) in copied {
                withdraw(&upper, &touched, xattrs.as_ref());
            }
        }
    }
}

impl Drop for Places {
    /// Cleans up, also when the child has never been made.
    fn drop(&mut self) {
        self.clean();
    }
}

/// Removes a directory from the upper directory that is empty and like the one it was copied from.
fn withdraw(upper: &Root, touched: &Touched, merged: Option<&gantry_tree::Xattrs>) {
    let (path, before) = (&touched.path, &touched.before);
    let (Ok(now), Ok(own), Some(merged)) =
        (upper.stat(path, Follow::Parents), upper.xattrs(path), merged)
    else {
        return;
    };
    let same = (now.mode, now.uid, now.gid, now.mtime, now.kind)
        == (before.mode, before.uid, before.gid, before.mtime, before.kind);
    let opaque = own.iter().any(|(name, _)| name.ends_with(b".overlay.opaque"));
    let marks = |(name, _): &&(Vec<u8>, Vec<u8>)| !is_overlays(name);
    if same && !opaque && own.iter().filter(marks).eq(merged.iter().filter(marks)) {
        let parent = path.parent().unwrap_or_default();
        let time = upper.stat(&parent, Follow::Parents).map(|stat| stat.mtime);
        // Refused if it is not empty, and right so.
        if let (Ok(()), Ok(time)) = (upper.remove_dir(path), time) {
            let _ = upper.set_mtime(&parent, time);
        }
    }
}

fn is_overlays(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
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

fn make_one(root: &Root, path: &TreePath, kind: Kind) -> Result<(), TreeError> {
    match kind {
        Kind::Directory => root.mkdir(path, 0o755),
        Kind::File => root.create_file(path, 0o644).map(drop),
    }
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
