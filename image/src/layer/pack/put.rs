//! Bytes on their way into the tar.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What filesystems share between files, at least.
const CLUSTER: u64 = 4096;

/// Puts bytes that `from` has at an offset into `to`, at another.
///
/// Whole clusters that lie alike in both are copied inside of the kernel, and on a filesystem that
/// can share them they take no space.
pub(super) fn take_over(
    (from, there): (&File, u64),
    (to, here): (&File, u64),
    bytes: &[u8],
) -> io::Result<()> {
    if there % CLUSTER != here % CLUSTER {
        return to.write_all_at(bytes, here);
    }
    let length = bytes.len() as u64;
    let head = length.min(here.next_multiple_of(CLUSTER) - here);
    let mut done = head;
    let end = head + (length - head) / CLUSTER * CLUSTER;
    while done < end {
        let (mut at, mut into) = (there + done, here + done);
        let count = usize::try_from(end - done).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut into), count) {
            Ok(count) if count > 0 => done += count as u64,
            // Between some filesystems it can't; the bytes are here.
            _ => break,
        }
    }
    to.write_all_at(&bytes[..head as usize], here)?;
    to.write_all_at(&bytes[done as usize..], here + done)
}

/// The longest first piece of a stretch, so that all that follow begin with a cluster.
pub(super) fn piece(at: u64, longest: u64) -> u64 {
    longest - at % CLUSTER
}
