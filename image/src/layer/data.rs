//! The data of a tar's current member: how much there is, and which holes were left out of it.

use std::io::Read;

use tar::Header as Block;

use super::LayerError;
use super::fields::{is_gnu, number};
use super::header::BLOCK;
use super::members::Members;
use super::pax::Records;
use super::sparse::{SparseMap, map_1_0, old_gnu_pairs};

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// That many bytes are in the buffer.
    Data(usize),
    /// That many zeros.
    Hole(u64),
    End,
}

impl<R: Read> Members<R> {
    /// Reads a piece of the current file.
    pub(crate) fn chunk(&mut self, buffer: &mut [u8]) -> Result<Chunk, LayerError> {
        if self.position == self.size {
            return Ok(Chunk::End);
        }
        let mut most = self.left;
        if let Some((map, at)) = &mut self.map {
            while map
                .stretches
                .get(*at)
                .is_some_and(|(offset, length)| offset + length <= self.position)
            {
                *at += 1;
            }
            let next = map.stretches.get(*at).copied();
            let start = next.map_or(self.size, |(offset, _)| offset);
            if self.position < start {
                let hole = start - self.position;
                self.position = start;
                return Ok(Chunk::Hole(hole));
            }
            most = next.map_or(0, |(offset, length)| offset + length - self.position).min(most);
        }
        let wanted = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.read_some(&mut buffer[..wanted])?;
        self.left -= n as u64;
        self.position += n as u64;
        Ok(Chunk::Data(n))
    }

    /// Finds out how much data follows, and which holes were left out of it.
    pub(super) fn enter_file(
        &mut self,
        header: &Block,
        own_size: u64,
        pax: &Records,
    ) -> Result<(), LayerError> {
        const OCTAL_11: u64 = 0o77_777_777_777;
        let mut stored = own_size;
        if let Some(size) = pax.size {
            if size <= OCTAL_11 && own_size != size {
                return Err(self.malformed(&format!("its size is {own_size}, and {size} by PAX")));
            }
            stored = size;
        }
        if stored > i64::MAX as u64 {
            return Err(self.malformed("its size is too large"));
        }
        self.left = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        self.size = stored;
        let map = match self.sparse_numbers(header, pax)? {
            None => None,
            Some((size, numbers)) => {
                let map = SparseMap::new(size, &numbers, self.left);
                Some(map.map_err(|reason| self.malformed(&reason))?)
            }
        };
        if let Some(map) = map {
            self.size = map.size;
            self.map = Some((map, 0));
        }
        self.bytes = self.bytes.saturating_add(self.size);
        if self.bytes > self.limits.bytes {
            return Err(LayerError::TooLarge { what: "bytes of files", limit: self.limits.bytes });
        }
        Ok(())
    }

    /// Returns a sparse file's length and its map's numbers, read as its format wants.
    fn sparse_numbers(
        &mut self,
        header: &Block,
        pax: &Records,
    ) -> Result<Option<(u64, Vec<u64>)>, LayerError> {
        let bytes = header.as_bytes();
        if bytes[156] == b'S' {
            if !is_gnu(bytes) {
                return Err(self.malformed("it is sparse in a way that only GNU's format has"));
            }
            let size = number(&bytes[483..495])
                .ok_or_else(|| self.malformed("its real size is no number"))?;
            let mut numbers = Vec::new();
            old_gnu_pairs(&bytes[386..482], &mut numbers)
                .map_err(|reason| self.malformed(&reason))?;
            let mut more = bytes[482] != 0;
            while more {
                // These blocks come between header and data, and don't count as data.
                let block = self
                    .block_or_end()?
                    .ok_or_else(|| self.malformed("it ends in a sparse map"))?;
                old_gnu_pairs(&block[..504], &mut numbers)
                    .map_err(|reason| self.malformed(&reason))?;
                more = block[504] != 0;
            }
            return Ok(Some((size, numbers)));
        }
        let sparse = &pax.sparse;
        match (sparse.major, sparse.minor, &sparse.map) {
            (Some(1), Some(0), _) => {
                let size = sparse.size.ok_or_else(|| self.malformed("its real size is missing"))?;
                let offset = self.header_offset;
                let malformed =
                    |reason: &str| LayerError::Malformed { offset, reason: reason.to_owned() };
                let numbers = map_1_0(|| self.data_block(), malformed)?;
                Ok(Some((size, numbers)))
            }
            (None | Some(0), None | Some(0 | 1), Some(map)) => {
                let size = sparse.size.ok_or_else(|| self.malformed("its real size is missing"))?;
                Ok(Some((size, map.clone())))
            }
            (None, None, None) => Ok(None),
            _ => Err(self.malformed("it is sparse in an unknown way")),
        }
    }

    /// Reads a block of the current member's data.
    fn data_block(&mut self) -> Result<[u8; BLOCK], LayerError> {
        if self.left < BLOCK as u64 {
            return Err(self.malformed("its sparse map leaves its data"));
        }
        self.left -= BLOCK as u64;
        self.block_or_end()?.ok_or_else(|| self.malformed("it ends in the middle of a member"))
    }
}
