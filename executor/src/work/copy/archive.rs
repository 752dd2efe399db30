//! Archives that ADD unpacks: told by their bytes, not by their names (B6-18).

use std::io::{self, Read};

use gantry_image::compress;
use gantry_image::layer;
use gantry_tree::{ContentId, Dialect, Follow, Manifest, Root, TreePath};

use super::super::Executor;
use super::super::fault::Fault;
use super::place::{Dest, Placer};

/// A tar's header block.
const BLOCK: usize = 512;

/// A file that was found to be an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive(());

/// Says whether a file is a tar, compressed or not: whether what it decompresses to begins with a
/// header whose checksum is right.
pub(super) fn probe(root: &Root, path: &TreePath) -> Result<Option<Archive>, Fault> {
    let file = root.open_file(path, Follow::Parents)?;
    let mut block = [0; BLOCK];
    let read = compress::reader(io::BufReader::new(file))
        .and_then(|(_, mut reader)| reader.read_exact(&mut block));
    // Broken compression, or too short: no archive, and so a file like any other.
    Ok((read.is_ok() && is_header(&block)).then_some(Archive(())))
}

/// Says whether a block is the header of a tar's member, by its checksum.
pub(crate) fn is_header(block: &[u8; BLOCK]) -> bool {
    const SUM: std::ops::Range<usize> = 148..156;
    let text = &block[SUM];
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ')
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .collect();
    let Ok(Ok(stored)) = std::str::from_utf8(&digits).map(|text| u64::from_str_radix(text, 8))
    else {
        return false;
    };
    // The checksum counts its own field as spaces; old tars summed signed bytes.
    let outside = |index: usize| !SUM.contains(&index);
    let unsigned: u64 =
        block.iter().enumerate().filter(|(i, _)| outside(*i)).map(|(_, b)| u64::from(*b)).sum();
    let signed: i64 = block
        .iter()
        .enumerate()
        .filter(|(i, _)| outside(*i))
        .map(|(_, b)| i64::from(b.cast_signed()))
        .sum();
    let spaces = 8 * u64::from(b' ');
    unsigned + spaces == stored || i64::try_from(stored).is_ok_and(|s| signed + 256 == s)
}

/// Unpacks an archive into an empty directory; fails if its bytes are not those of `content`.
pub(super) fn unpack(
    root: &Root,
    path: &TreePath,
    content: ContentId,
    _kind: Archive,
    into: &Root,
    executor: &Executor,
) -> Result<Manifest, Fault> {
    let file = root.open_file(path, Follow::Parents)?;
    let mut hashed = HashingReader { inner: file, hasher: blake3::Hasher::new() };
    let options = layer::UnpackOptions { dialect: Dialect::Plain, ..executor.unpack.clone() };
    let what = || format!("unpack `{path}`");
    let unpacked = {
        let (_, mut reader) = compress::reader(io::BufReader::with_capacity(1 << 16, &mut hashed))
            .map_err(Fault::io(what()))?;
        layer::unpack(&mut reader, into, &options)?
    };
    io::copy(&mut hashed, &mut io::sink()).map_err(Fault::io(what()))?;
    if content.is_read() && *hashed.hasher.finalize().as_bytes() != content.0 {
        let path = path.to_string();
        return Err(gantry_tree::TreeError::Changed { path, source: None }.into());
    }
    Ok(unpacked.manifest)
}

/// Places what was unpacked below the destination, which is a directory whatever it is written as.
pub(super) fn place(
    manifest: &Manifest,
    tree: usize,
    placer: &mut Placer<'_>,
    dest: &Dest,
) -> Result<(), Fault> {
    placer.make_dir(&dest.path)?;
    for entry in manifest.entries().iter().filter(|entry| !entry.path.is_root()) {
        let to = placer.through(&dest.path.join_path(&entry.path), entry.is_dir())?;
        placer.put(tree, manifest, entry, to)?;
    }
    Ok(())
}

struct HashingReader<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_by_its_checksum() {
        let mut block = [0; BLOCK];
        block[..3].copy_from_slice(b"abc");
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum::<u64>() + 8 * 32;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(is_header(&block));
        block[0] = b'x';
        assert!(!is_header(&block));
        assert!(!is_header(&[0; BLOCK]));
    }
}
