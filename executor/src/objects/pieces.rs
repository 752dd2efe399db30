//! A blob on its way out, piece by piece: what is sent can be sent again, and memory holds one piece.

use std::io::{self, Read};

use bytes::Bytes;
use gantry_cache::remote::RemoteError;
use gantry_image::{Descriptor, Digest, Hasher};

/// How large a piece is at least, but for the last: S3 takes none under 5 MiB.
const PIECE: u64 = 16 << 20;

/// No store takes more pieces of one blob.
const MOST: u64 = 10_000;

/// The pieces of a blob. The last one comes only if all of it is what was promised.
pub(super) struct Pieces<'a> {
    from: &'a mut dyn Read,
    hasher: Hasher,
    expected: Digest,
    place: String,
    piece: u64,
    left: u64,
    /// How many bytes there were.
    pub(super) offset: u64,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(from: &'a mut dyn Read, blob: &Descriptor, place: String) -> Self {
        let piece = PIECE.max(blob.size.div_ceil(MOST));
        let (hasher, expected, left) = (Hasher::new(), blob.digest, blob.size);
        Self { from, hasher, expected, place, piece, left, offset: 0 }
    }

    /// Whether there will be one piece and no more.
    pub(super) fn is_one(&self) -> bool {
        self.offset == 0 && self.left <= self.piece
    }

    /// Returns the next piece; `None` if there is none. A blob of no bytes has one piece of none.
    ///
    /// # Errors
    /// The blob can't be read, or is another one.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, RemoteError> {
        let doing = || RemoteError::io("read what is to be cached");
        if self.left == 0 && self.offset > 0 {
            return Ok(None);
        }
        let length = self.left.min(self.piece);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.from.read_exact(&mut bytes).map_err(doing())?;
        self.hasher.update(&bytes);
        self.left -= length;
        self.offset += length;
        if self.left == 0 {
            let more = io::copy(&mut self.from, &mut io::sink()).map_err(doing())?;
            let actual = std::mem::take(&mut self.hasher).finish();
            if more > 0 || actual != self.expected {
                let (place, expected) = (self.place.clone(), self.expected);
                return Err(RemoteError::Digest { place, expected, actual });
            }
        }
        Ok(Some(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use gantry_image::MediaType;

    use super::*;

    fn sizes(bytes: &[u8], promised: &[u8]) -> Result<Vec<usize>, RemoteError> {
        let digest = Digest::of(promised);
        let blob = Descriptor::new(MediaType::OciLayer, digest, promised.len() as u64);
        let mut from = bytes;
        let mut pieces = Pieces::new(&mut from, &blob, "here".to_owned());
        let mut sizes = Vec::new();
        while let Some(piece) = pieces.next()? {
            sizes.push(piece.len());
            if piece.is_empty() {
                break;
            }
        }
        Ok(sizes)
    }

    #[test]
    fn pieces_make_up_the_blob() {
        let large = vec![7; (PIECE + 3) as usize];
        assert_eq!(sizes(&large, &large).unwrap(), [PIECE as usize, 3]);
        assert_eq!(sizes(b"abc", b"abc").unwrap(), [3]);
        assert_eq!(sizes(b"", b"").unwrap(), [0]);
    }

    #[test]
    fn a_blob_that_is_another_has_no_last_piece() {
        for bytes in [&b"abd"[..], b"abcd", b"ab"] {
            assert!(sizes(bytes, b"abc").is_err(), "{bytes:?}");
        }
    }
}
