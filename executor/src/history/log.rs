//! What a step prints, as it is stored: frames of bytes, and the times between them.
//!
//! ```text
//! frame = 1 length:u32 bytes    standard output
//!       | 2 length:u32 bytes    standard error
//!       | 3 8:u32 micros:u64    the time of what follows, in microseconds since 1970
//! ```
//! Numbers are little-endian. Nothing is cut, however much a step prints.

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_cache::{LogId, LogReader, Store, StoreError};
use gantry_solver::Stream;

const TIME: u8 = 3;

/// No writer makes a frame longer than this.
const LONGEST: u32 = 16 << 20;

/// Writes what came from one stream.
pub(crate) fn write_frame(out: &mut impl Write, stream: Stream, bytes: &[u8]) -> io::Result<()> {
    let kind = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    put(out, kind, bytes)
}

/// Writes the time of the frames that follow.
pub(crate) fn stamp(out: &mut impl Write, time: SystemTime) -> io::Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    put(out, TIME, &u64::try_from(since.as_micros()).unwrap_or(u64::MAX).to_le_bytes())
}

fn put(out: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&[kind])?;
    out.write_all(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes())?;
    out.write_all(bytes)
}

/// Bytes that a step printed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where to.
    pub stream: Stream,
    /// When, to a millisecond; logs of old have no times.
    pub time: Option<SystemTime>,
    /// What; may begin and end in the middle of a line.
    pub data: Vec<u8>,
}

/// The whole output of a step, read bit by bit.
#[derive(Debug)]
pub struct StepLog<R = LogReader> {
    reader: R,
    time: Option<SystemTime>,
}

impl StepLog {
    /// Opens a stored log; `None` if it was pruned.
    ///
    /// # Errors
    /// When its file can't be read.
    pub fn open(store: &Store, log: &LogId) -> Result<Option<Self>, StoreError> {
        let reader = store.logs().open(log)?;
        Ok(reader.map(|reader| Self { reader, time: None }))
    }
}

impl<R: Read> StepLog<R> {
    /// Returns what comes next, in the order in which it was printed.
    ///
    /// # Errors
    /// When the log can't be read, or is damaged.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "The log is damaged");
        loop {
            let mut kind = [0];
            if self.reader.read(&mut kind)? == 0 {
                return Ok(None);
            }
            let mut length = [0; 4];
            self.reader.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length);
            if length > LONGEST {
                return Err(damaged());
            }
            let mut data = Vec::new();
            self.reader.by_ref().take(u64::from(length)).read_to_end(&mut data)?;
            if data.len() != length as usize {
                return Err(damaged());
            }
            let stream = match kind[0] {
                1 => Stream::Stdout,
                2 => Stream::Stderr,
                TIME => {
                    let micros: [u8; 8] = data.as_slice().try_into().map_err(|_| damaged())?;
                    let since = Duration::from_micros(u64::from_le_bytes(micros));
                    self.time = UNIX_EPOCH.checked_add(since);
                    continue;
                }
                _ => return Err(damaged()),
            };
            return Ok(Some(Chunk { stream, time: self.time, data }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<Chunk>> {
        let mut log = StepLog { reader: bytes, time: None };
        let mut chunks = Vec::new();
        while let Some(chunk) = log.next_chunk()? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    #[test]
    fn chunks_come_back_with_the_time_before_them() {
        let time = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        let mut bytes = Vec::new();
        write_frame(&mut bytes, Stream::Stdout, b"early").unwrap();
        stamp(&mut bytes, time).unwrap();
        write_frame(&mut bytes, Stream::Stderr, b"late\n").unwrap();
        write_frame(&mut bytes, Stream::Stdout, b"").unwrap();
        let chunk = |stream, time, data: &[u8]| Chunk { stream, time, data: data.to_vec() };
        assert_eq!(
            read(&bytes).unwrap(),
            [
                chunk(Stream::Stdout, None, b"early"),
                chunk(Stream::Stderr, Some(time), b"late\n"),
                chunk(Stream::Stdout, Some(time), b""),
            ]
        );
    }

    #[test]
    fn a_damaged_log_is_an_error_and_nothing_worse() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, Stream::Stdout, b"text").unwrap();
        for end in 1..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        assert!(read(&[9, 0, 0, 0, 0]).is_err());
        assert!(read(&[1, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(read(&[3, 1, 0, 0, 0, 7]).is_err());
    }
}
