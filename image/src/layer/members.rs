//! The entry loop over a tar that isn't trusted.
//!
//! The `tar` crate's types say where the fields of a header lie; numbers, extensions and the walk
//! from header to header are done here. (Its own loop applies GNU and PAX extensions, but not in
//! the way of docker's reader in every corner; and its raw loop, that applies none, loses its place
//! behind a member whose size only PAX can say.) Rule: read as Go's `archive/tar` reads, which is
//! what docker and containerd see; where readers are known to disagree, refuse.
//!
//! - Links, directories, devices and fifos have no data, whatever their size says.
//! - A PAX size wins over the header's, and contradicting a size that the header can hold is refused.
//! - A lone zero block that isn't followed by another, or by the end, is refused.
//! - Global PAX headers are ignored, and refused if they'd move or rename members.

use std::io::{self, Read, Seek, SeekFrom};

use tar::Header as Block;

use super::LayerError;
use super::fields::{checksum_fits, number, until_nul};
use super::header::BLOCK;
use super::member::{Extensions, Member};
use super::pax::{Records, SPECIAL_LIMIT};
use super::sparse::SparseMap;

/// When reading a tar is given up, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of file contents together, holes included.
    pub bytes: u64,
    /// Members, files and others.
    pub entries: u64,
}

impl Default for Limits {
    /// 1 TiB in 16 million members: more than images have, and few enough to end some day.
    fn default() -> Self {
        Self { bytes: 1 << 40, entries: 16 << 20 }
    }
}

/// A tar under way.
pub(crate) struct Members<R> {
    inner: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    pub(super) limits: Limits,
    entries: u64,
    pub(super) bytes: u64,
    /// Where `inner` stands.
    pub(super) offset: u64,
    /// Where the current member's header started, for messages.
    pub(super) header_offset: u64,
    /// Stored data of the current member that haven't been read.
    pub(super) left: u64,
    pub(super) padding: u64,
    /// The current file's logical position, and its holes.
    pub(super) position: u64,
    pub(super) size: u64,
    pub(super) map: Option<(SparseMap, usize)>,
    finished: bool,
}

impl<R: Read> Members<R> {
    /// Reads a tar as a stream.
    pub(crate) fn new(inner: R, limits: Limits) -> Self {
        fn skip<R: Read>(inner: &mut R, bytes: u64) -> io::Result<()> {
            match io::copy(&mut inner.by_ref().take(bytes), &mut io::sink())? {
                n if n == bytes => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Self {
            inner,
            skip: skip::<R>,
            limits,
            entries: 0,
            bytes: 0,
            offset: 0,
            header_offset: 0,
            left: 0,
            padding: 0,
            position: 0,
            size: 0,
            map: None,
            finished: false,
        }
    }

    /// Reads a tar whose data can be jumped over.
    pub(crate) fn seekable(inner: R, limits: Limits) -> Self
    where
        R: Seek,
    {
        fn skip<R: Seek>(inner: &mut R, bytes: u64) -> io::Result<()> {
            let bytes = i64::try_from(bytes).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            inner.seek(SeekFrom::Current(bytes)).map(drop)
        }
        Self { skip: skip::<R>, ..Self::new(inner, limits) }
    }

    /// Goes to the next member; `None` at the end of the tar.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, LayerError> {
        if self.finished {
            return Ok(None);
        }
        self.leave_member()?;
        let mut extensions = Extensions::default();
        loop {
            self.header_offset = self.offset;
            let Some(block) = self.header_block()? else {
                self.finished = true;
                if extensions.any() {
                    return Err(
                        self.malformed("it ends behind a header that belongs to the next member")
                    );
                }
                return Ok(None);
            };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(LayerError::TooLarge { what: "members", limit: self.limits.entries });
            }
            let header = Block::from_byte_slice(&block);
            match header.as_old().linkflag[0] {
                b'x' => {
                    let records = self.pax(header)?;
                    if extensions.pax.replace(records).is_some() {
                        return Err(self.malformed("a member has two PAX headers"));
                    }
                }
                b'g' => {
                    let records = self.pax(header)?;
                    if !records.is_harmless_global() {
                        return Err(self.malformed("a global PAX header would change all members"));
                    }
                }
                b'L' => extensions.name = Some(self.long_name(header)?),
                b'K' => extensions.link = Some(self.long_name(header)?),
                kind => return self.member(header, kind, extensions).map(Some),
            }
        }
    }

    /// Reads whatever follows the end of the tar, to the end of the stream.
    pub(crate) fn drain(&mut self) -> Result<(), LayerError> {
        io::copy(&mut self.inner, &mut io::sink()).map(drop).map_err(LayerError::Read)
    }

    fn leave_member(&mut self) -> Result<(), LayerError> {
        let rest = self.left + self.padding;
        if rest > 0 {
            (self.skip)(&mut self.inner, rest).map_err(|err| self.read_error(err))?;
        }
        self.offset += rest;
        (self.left, self.padding, self.position, self.size, self.map) = (0, 0, 0, 0, None);
        Ok(())
    }

    /// Reads a header; `None` for two zero blocks, and for the end of the stream.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, LayerError> {
        let Some(block) = self.block_or_end()? else { return Ok(None) };
        if block == [0; BLOCK] {
            return match self.block_or_end()? {
                None => Ok(None),
                Some(second) if second == [0; BLOCK] => Ok(None),
                Some(_) => Err(self.malformed("a single zero block stands between its members")),
            };
        }
        if !checksum_fits(&block) {
            return Err(self.malformed("its checksum is wrong"));
        }
        Ok(Some(block))
    }

    pub(super) fn block_or_end(&mut self) -> Result<Option<[u8; BLOCK]>, LayerError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.malformed("it ends in the middle of a header")),
                Ok(n) => filled += n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(LayerError::Read(err)),
            }
        }
        self.offset += BLOCK as u64;
        Ok(Some(block))
    }

    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, LayerError> {
        loop {
            match self.inner.read(buffer) {
                Ok(0) => return Err(self.malformed("it ends in the middle of a member")),
                Ok(n) => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(LayerError::Read(err)),
            }
        }
    }

    /// Reads the data of a header that says something about the next one.
    fn special(&mut self, header: &Block) -> Result<Vec<u8>, LayerError> {
        let size =
            number(&header.as_old().size).ok_or_else(|| self.malformed("a size is no number"))?;
        if size > SPECIAL_LIMIT {
            return Err(LayerError::TooLarge {
                what: "bytes of one PAX header",
                limit: SPECIAL_LIMIT,
            });
        }
        let mut data = vec![0; size.next_multiple_of(BLOCK as u64) as usize];
        let mut filled = 0;
        while filled < data.len() {
            filled += self.read_some(&mut data[filled..])?;
        }
        data.truncate(size as usize);
        Ok(data)
    }

    fn pax(&mut self, header: &Block) -> Result<Records, LayerError> {
        let data = self.special(header)?;
        Records::parse(&data).map_err(|reason| self.malformed(&reason))
    }

    fn long_name(&mut self, header: &Block) -> Result<Vec<u8>, LayerError> {
        Ok(until_nul(&self.special(header)?).to_vec())
    }

    pub(super) fn malformed(&self, reason: &str) -> LayerError {
        LayerError::Malformed { offset: self.header_offset, reason: reason.to_owned() }
    }

    fn read_error(&self, err: io::Error) -> LayerError {
        match err.kind() {
            io::ErrorKind::UnexpectedEof => self.malformed("it ends in the middle of a member"),
            _ => LayerError::Read(err),
        }
    }
}
