//! The bytes of a unit, read and held against the manifest.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use gantry_tree::{ContentId, Node, Opener, TreeError, TreePath};

use super::buffers::Buffers;
use super::holes::{self, Holes};
use super::put;
use super::unit::{Unit, Units};
use super::{PackError, Packing};
use crate::layer::write::Member;
use crate::layer::{BLOCK, LayerError};

/// Large files are read in pieces of this size, which a processor's own cache holds until they are
/// digested.
const PIECE: usize = 256 << 10;

/// Some bytes of the tar.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Zeros that come before the bytes.
    pub(super) zeros: u64,
    pub(super) bytes: Vec<u8>,
    /// It is its unit's last.
    pub(super) last: bool,
    /// Contents that the manifest doesn't know, by number of entry.
    pub(super) read: Vec<(usize, ContentId)>,
    /// Where the earlier tar has the bytes.
    earlier: Option<u64>,
}

/// Reads units, one after the other, and writes them to the tar.
pub(super) struct Reader<'a> {
    packing: &'a Packing<'a>,
    units: &'a Units,
    members: &'a [Member<'a>],
    openers: Vec<Opener<'a>>,
    buffers: &'a Buffers,
    out: &'a File,
}

type Sink<'s> = dyn FnMut(Piece) -> Result<(), PackError> + 's;

impl<'a> Reader<'a> {
    pub(super) fn new(
        packing: &'a Packing<'a>,
        units: &'a Units,
        members: &'a [Member<'a>],
        buffers: &'a Buffers,
        out: &'a File,
    ) -> Self {
        let openers = packing.roots.iter().map(|root| Opener::new(root)).collect();
        Self { packing, units, members, openers, buffers, out }
    }

    /// Reads a unit, writes it, and gives its pieces to `sink`.
    pub(super) fn unit(&mut self, unit: usize, sink: &mut Sink<'_>) -> Result<(), PackError> {
        let (out, earlier) = (self.out, self.packing.earlier);
        let mut here = self.units.start(unit);
        let mut sink = |piece: Piece| {
            here += piece.zeros;
            match (piece.earlier, earlier) {
                (Some(there), Some(earlier)) => {
                    put::take_over((earlier.tar, there), (out, here), &piece.bytes)
                }
                _ => out.write_all_at(&piece.bytes, here),
            }
            .map_err(LayerError::Write)?;
            here += piece.bytes.len() as u64;
            sink(piece)
        };
        match self.units.get(unit) {
            Unit::Earlier(range) => self.earlier(range.clone(), &mut sink),
            Unit::Members(range) => {
                let mut piece = Piece { bytes: self.buffers.empty(), ..Piece::default() };
                for member in range.clone() {
                    self.member(member, &mut piece, &mut sink)?;
                }
                piece.last = true;
                sink(piece)
            }
        }
    }

    fn earlier(&self, range: std::ops::Range<u64>, sink: &mut Sink<'_>) -> Result<(), PackError> {
        let Some(earlier) = self.packing.earlier else { return Ok(()) };
        let mut holes = Holes::of(earlier.tar).map_err(LayerError::Read)?;
        let mut at = range.start;
        while at < range.end {
            let length = (range.end - at).min(put::piece(at, PIECE as u64));
            if holes.cover(earlier.tar, &(at..at + length)) {
                at += length;
                sink(Piece { zeros: length, last: at == range.end, ..Piece::default() })?;
                continue;
            }
            let mut bytes = self.buffers.of(length as usize);
            earlier.tar.read_exact_at(&mut bytes, at).map_err(LayerError::Read)?;
            let mut piece = Piece { earlier: Some(at), ..Piece::default() };
            at += length;
            piece.last = at == range.end;
            piece.put(bytes, self.buffers);
            sink(piece)?;
        }
        Ok(())
    }

    fn member(
        &mut self,
        member: usize,
        piece: &mut Piece,
        sink: &mut Sink<'_>,
    ) -> Result<(), PackError> {
        self.members[member].encode(self.packing.manifest, None, &mut piece.bytes);
        let Some(number) = self.units.entry(member) else { return Ok(()) };
        let entry = &self.packing.manifest.entries()[number];
        let Node::File { size, content } = entry.node else { return Ok(()) };
        let (root, path) = &self.packing.sources[number];
        let Some(opener) = self.openers.get_mut(*root) else {
            return Err(changed(path).into());
        };
        let mut file = opener.open_file(path)?;
        let found = if size < PIECE as u64 {
            // One byte more than there is shows that there is no more.
            let start = piece.bytes.len();
            piece.bytes.resize(start + size as usize + 1, 0);
            let length = fill(&mut file, &mut piece.bytes[start..], (path, size))?;
            if length as u64 != size {
                return Err(changed(path).into());
            }
            piece.bytes.truncate(start + length);
            ContentId::of(&piece.bytes[start..])
        } else {
            large(&mut file, (path, size), self.buffers, piece, sink)?
        };
        if content.is_read() && found != content {
            return Err(changed(path).into());
        }
        if !content.is_read() {
            piece.read.push((number, found));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        piece.bytes.resize(piece.bytes.len() + padding as usize, 0);
        Ok(())
    }
}

/// Reads a large file and gives it away piece by piece; what is left is in `piece`.
fn large(
    file: &mut File,
    (path, size): (&TreePath, u64),
    buffers: &Buffers,
    piece: &mut Piece,
    sink: &mut Sink<'_>,
) -> Result<ContentId, PackError> {
    let reading = |source| LayerError::Content { path: path.clone(), source };
    let mut hasher = blake3::Hasher::new();
    let mut found = Holes::of(file).map_err(reading)?;
    let mut at = 0;
    // The headers go first, so that pieces of the file begin where its zeros may begin.
    sink(std::mem::take(piece))?;
    while at < size {
        let length = (size - at).min(PIECE as u64);
        if found.cover(file, &(at..at + length)) {
            holes::zeros(length, |bytes| _ = hasher.update(bytes));
            piece.zeros += length;
            at += length;
            continue;
        }
        file.seek(SeekFrom::Start(at)).map_err(reading)?;
        let mut bytes = buffers.of(length as usize);
        if fill(file, &mut bytes, (path, size))? < bytes.len() {
            return Err(changed(path).into());
        }
        hasher.update(&bytes);
        piece.put(bytes, buffers);
        at += length;
        if !piece.bytes.is_empty() {
            sink(std::mem::take(piece))?;
        }
    }
    // Behind the last piece there may still be more.
    file.seek(SeekFrom::Start(size)).map_err(reading)?;
    if found.cut(file).map_err(reading)? || fill(file, &mut [0], (path, size))? > 0 {
        return Err(changed(path).into());
    }
    Ok(ContentId(*hasher.finalize().as_bytes()))
}

impl Piece {
    /// Adds bytes to a piece that has none; zeros alone are only counted.
    fn put(&mut self, bytes: Vec<u8>, buffers: &Buffers) {
        debug_assert!(self.bytes.is_empty(), "the piece before was given away");
        if bytes.iter().all(|byte| *byte == 0) {
            self.zeros += bytes.len() as u64;
            buffers.give(bytes);
        } else {
            self.bytes = bytes;
        }
    }
}

fn fill(
    file: &mut File,
    buffer: &mut [u8],
    (path, size): (&TreePath, u64),
) -> Result<usize, PackError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            // A regular file gives all it has, so less than asked for is its end.
            Ok(n) if filled + n < buffer.len() => {
                filled += n;
                if filled as u64 == size {
                    break;
                }
            }
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                let path = path.clone();
                return Err(LayerError::Content { path, source }.into());
            }
        }
    }
    Ok(filled)
}

fn changed(path: &TreePath) -> TreeError {
    TreeError::Changed { path: path.to_string(), source: None }
}
