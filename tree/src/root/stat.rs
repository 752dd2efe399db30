//! [`Stat`]: what `statx` says.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Result;

use crate::{FileKind, Time};

/// What `statx` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The type.
    pub kind: FileKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of anything.
    pub ctime: Time,
    /// The file system, as major and minor number.
    pub dev: (u32, u32),
    /// The inode.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u32,
    /// What a device file stands for.
    pub rdev: (u32, u32),
    /// 512-byte blocks taken on disk.
    pub blocks: u64,
}

impl Stat {
    /// Says whether the file has fewer blocks than its length needs, so that reading it by its
    /// holes is worth the calls.
    pub fn is_sparse(&self) -> bool {
        self.blocks.saturating_mul(512) < self.size
    }
}

/// Describes what lies under a name in a directory, following nothing.
pub(crate) fn stat_name(dir: impl AsFd, name: &[u8]) -> Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);
    statx(dir, name, flags, StatxFlags::BASIC_STATS).map(convert)
}

/// Describes what is open, which may be so with `O_PATH`.
pub(crate) fn stat_fd(fd: impl AsFd) -> Result<Stat> {
    statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(convert)
}

fn convert(stat: Statx) -> Stat {
    let mode = u32::from(stat.stx_mode);
    Stat {
        kind: kind(mode),
        mode: mode & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: stat.stx_size,
        mtime: time(stat.stx_mtime),
        ctime: time(stat.stx_ctime),
        dev: (stat.stx_dev_major, stat.stx_dev_minor),
        ino: stat.stx_ino,
        nlink: stat.stx_nlink,
        rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
        blocks: stat.stx_blocks,
    }
}

fn kind(mode: u32) -> FileKind {
    use rustix::fs::FileType;
    match FileType::from_raw_mode(mode) {
        FileType::Directory => FileKind::Dir,
        FileType::Symlink => FileKind::Symlink,
        FileType::CharacterDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        _ => FileKind::File,
    }
}

fn time(time: StatxTimestamp) -> Time {
    // A damaged inode may say more than a second's worth; a time of ours never does.
    Time { secs: time.tv_sec, nanos: time.tv_nsec.min(999_999_999) }
}
