//! Reading a file once, for its digest.

use std::io;
use std::os::fd::AsFd;

use rustix::io::{Errno, Result, read};

use crate::ContentId;

/// Files up to this size are hashed in one go from the buffer they were read into; longer ones in
/// pieces of it. Large enough for blake3's widest vectors, small enough to stay in a second-level
/// cache.
pub(crate) const BUFFER: usize = 256 * 1024;

/// Hashes an open file from where it stands to its end; returns its digest and length.
///
/// `expected` is the length that it had a moment ago: if just that is read, it is taken for all,
/// which saves a call for each small file.
pub(crate) fn hash_fd(fd: impl AsFd, expected: u64, buffer: &mut [u8]) -> Result<(ContentId, u64)> {
    let first = read_full(&fd, buffer, expected)?;
    if first < buffer.len() {
        return Ok((ContentId::of(&buffer[..first]), first as u64));
    }
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
    let mut filled = first;
    while filled > 0 {
        hasher.update(&buffer[..filled]);
        length += filled as u64;
        filled = read_full(&fd, buffer, u64::MAX)?;
    }
    Ok((ContentId(*hasher.finalize().as_bytes()), length))
}

/// Fills the buffer as far as the file goes; less than that means its end, and so does exactly the
/// expected length.
pub(crate) fn read_full(fd: impl AsFd, buffer: &mut [u8], expected: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&fd, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        if filled as u64 == expected {
            break;
        }
    }
    Ok(filled)
}

/// Hashes a stream to its end and returns its length with it.
///
/// # Errors
/// Whatever the reader says.
pub fn hash_reader(reader: &mut dyn io::Read) -> io::Result<(ContentId, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((ContentId(*hasher.finalize().as_bytes()), length)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
