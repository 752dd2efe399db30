//! Reading the one thing of an index that is asked for without a mount: its root directory's looks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::SLOT;
use super::record::{INODE, MAGIC, SUPERBLOCK};

/// Returns mode (permission bits), user and group of an index's root directory.
///
/// # Errors
/// When it can't be read; [`io::ErrorKind::InvalidData`] if it is no index.
pub fn root_looks(index: &File) -> io::Result<(u32, u32, u32)> {
    let mut head = [0; 128];
    index.read_exact_at(&mut head, SUPERBLOCK as u64)?;
    if head[..4] != MAGIC.to_le_bytes() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no mountable index"));
    }
    let number = u16::from_le_bytes([head[14], head[15]]);
    let mut inode = [0; INODE as usize];
    index.read_exact_at(&mut inode, u64::from(number) * SLOT)?;
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| inode[at + byte]));
    let mode = u32::from(u16::from_le_bytes([inode[4], inode[5]]));
    Ok((mode & 0o7777, word(24), word(28)))
}
