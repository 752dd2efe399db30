//! Mounts asked for on top of the root filesystem.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// One mount below the sandbox's root.
///
/// Its target is resolved inside the root: a symlink there never leads out. Missing mount points
/// are made, owned by root, and removed after the step if they are still empty, together with
/// the parents made for them; so they do not get into the layer.
#[derive(Debug, Clone)]
pub enum Mount {
    /// A directory or file of the host.
    Bind(Bind),
    /// An empty filesystem in memory.
    Tmpfs(Tmpfs),
    /// A file with given content, in memory only.
    File(FileMount),
}

/// A directory or file of the host, seen inside.
#[derive(Debug, Clone)]
pub struct Bind {
    /// What is seen.
    pub source: BindSource,
    /// Where, as an absolute path inside the root.
    pub target: PathBuf,
    /// No writes through this mount, nor through those below it.
    pub read_only: bool,
    /// Takes the mounts below the source along.
    pub recursive: bool,
}

/// What a [`Bind`] shows.
#[derive(Debug, Clone)]
pub enum BindSource {
    /// A path of the host that is trusted: its symlinks are followed.
    Path(PathBuf),
    /// An open directory or file (`O_PATH` will do). Take this where others can write to the
    /// path's directories, so that nothing can be swapped between the look and the mount.
    Fd(Arc<OwnedFd>),
}

/// An empty filesystem in memory.
#[derive(Debug, Clone)]
pub struct Tmpfs {
    /// Where, as an absolute path inside the root.
    pub target: PathBuf,
    /// Bytes it may take; `None` is the kernel's default, half of the memory.
    pub size: Option<u64>,
    /// Mode of its root directory, `0o1777` in Docker.
    pub mode: u32,
    /// No `noexec`: programs in it can be run.
    pub exec: bool,
    /// No writes at all.
    pub read_only: bool,
}

impl Tmpfs {
    /// A writable one with Docker's mode.
    pub fn new(target: impl Into<PathBuf>, size: Option<u64>) -> Self {
        Self { target: target.into(), size, mode: 0o1777, exec: true, read_only: false }
    }
}

/// A file with given content that never touches a disk: secrets, generated configuration.
#[derive(Clone)]
pub struct FileMount {
    /// Where, as an absolute path inside the root.
    pub target: PathBuf,
    /// What it holds.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// No writes through it. (Writes are never kept.)
    pub read_only: bool,
}

impl std::fmt::Debug for FileMount {
    /// Leaves the content out: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileMount")
            .field("target", &self.target)
            .field("size", &self.content.len())
            .field("mode", &format_args!("{:o}", self.mode))
            .finish_non_exhaustive()
    }
}

impl Mount {
    /// Where it goes, as given.
    pub fn target(&self) -> &std::path::Path {
        match self {
            Self::Bind(bind) => &bind.target,
            Self::Tmpfs(tmpfs) => &tmpfs.target,
            Self::File(file) => &file.target,
        }
    }
}
