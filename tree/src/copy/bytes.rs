//! Moving a file's bytes: from a buffer, by a clone, inside the kernel, or by reading and writing.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::{Errno, Result, write};

use crate::ContentId;
use crate::root::stat_fd;
use crate::scan::{hash_fd, read_full};

/// Most that one `copy_file_range` is asked for.
const AT_ONCE: usize = 1 << 30;

/// Holes of a sparse file are hashed from this.
static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// Whether reading or writing failed.
pub(super) enum Failed {
    Read(Errno),
    Write(Errno),
}

/// Clones a file, which takes no time and no space where the file system can (`FICLONE`).
pub(super) fn clone(from: impl AsFd, to: impl AsFd) -> bool {
    ioctl_ficlone(to, from).is_ok()
}

/// Writes all bytes.
pub(super) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies a large file of which the content need not be looked at. Returns how many bytes there
/// were; holes stay holes.
pub(super) fn copy_unread(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> std::result::Result<u64, Failed> {
    let size = for_each_extent(
        from,
        to,
        |length| {
            let mut left = length;
            while left > 0 {
                let ask = usize::try_from(left).unwrap_or(AT_ONCE).min(AT_ONCE);
                match copy_file_range(from, None, to, None, ask) {
                    // The file was cut meanwhile; or the kernel can't, and says so in this odd way.
                    Ok(0) => break,
                    Ok(copied) => left -= copied as u64,
                    Err(Errno::INTR) => {}
                    // Other file systems, or none that can: see copy_file_range(2).
                    Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
                    Err(error) => return Err(Failed::Write(error)),
                }
            }
            while left > 0 {
                let ask = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let read = read_full(from, &mut buffer[..ask], u64::MAX).map_err(Failed::Read)?;
                if read == 0 {
                    break;
                }
                write_all(to, &buffer[..read]).map_err(Failed::Write)?;
                left -= read as u64;
            }
            Ok(length - left)
        },
        |_| {},
    )?;
    Ok(size)
}

/// Copies a large file and hashes it on the way. Holes stay holes.
pub(super) fn copy_hashing(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> std::result::Result<(ContentId, u64), Failed> {
    let hasher = std::cell::RefCell::new(blake3::Hasher::new());
    let size = for_each_extent(
        from,
        to,
        |length| {
            let mut left = length;
            while left > 0 {
                let ask = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let read = read_full(from, &mut buffer[..ask], u64::MAX).map_err(Failed::Read)?;
                if read == 0 {
                    break;
                }
                hasher.borrow_mut().update(&buffer[..read]);
                write_all(to, &buffer[..read]).map_err(Failed::Write)?;
                left -= read as u64;
            }
            Ok(length - left)
        },
        |mut hole| {
            while hole > 0 {
                let length = hole.min(ZEROS.len() as u64);
                hasher.borrow_mut().update(&ZEROS[..length as usize]);
                hole -= length;
            }
        },
    )?;
    Ok((ContentId(*hasher.into_inner().finalize().as_bytes()), size))
}

/// Hashes what was cloned: the copy, which nobody else can change.
pub(super) fn hash_clone(
    to: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> std::result::Result<(ContentId, u64), Failed> {
    hash_fd(to, u64::MAX, buffer).map_err(Failed::Read)
}

/// Calls `data` with both files standing at each stretch of data and `hole` for what lies between,
/// then gives the copy the source's length, which is returned.
fn for_each_extent(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut data: impl FnMut(u64) -> std::result::Result<u64, Failed>,
    mut hole: impl FnMut(u64),
) -> std::result::Result<u64, Failed> {
    let stat = stat_fd(from).map_err(Failed::Read)?;
    if !stat.is_sparse() {
        // To the end, wherever that is by then.
        return data(stat.size);
    }
    let mut at = 0;
    while at < stat.size {
        let start = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => start.min(stat.size),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => stat.size,
            // Not all file systems know of holes.
            Err(Errno::INVAL) => at,
            Err(error) => return Err(Failed::Read(error)),
        };
        hole(start - at);
        if start >= stat.size {
            break;
        }
        let end = match seek(from, SeekFrom::Hole(start)) {
            Ok(end) => end.min(stat.size),
            Err(_) => stat.size,
        };
        seek(from, SeekFrom::Start(start)).map_err(Failed::Read)?;
        seek(to, SeekFrom::Start(start)).map_err(Failed::Write)?;
        let copied = data(end - start)?;
        if copied < end - start {
            return Ok(start + copied);
        }
        at = end;
    }
    ftruncate(to, stat.size).map_err(Failed::Write)?;
    Ok(stat.size)
}
