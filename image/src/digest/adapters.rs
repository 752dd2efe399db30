//! Readers and writers that digest what passes through them. Owns the sha256 of the room.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::Digest;

/// A sha256 under way; also a [`Write`] that keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts with no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Returns the digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads through, writing what is read to a second place.
#[derive(Debug)]
pub struct TeeReader<R, W> {
    /// Where it is read from.
    pub from: R,
    /// Where it is written to.
    pub to: W,
}

impl<R: Read, W: Write> Read for TeeReader<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.to.write_all(&buffer[..count])?;
        Ok(count)
    }
}

/// Reads through, digesting and counting what is read.
#[derive(Debug)]
pub struct HashReader<R> {
    inner: R,
    hasher: Hasher,
    count: u64,
}

impl<R> HashReader<R> {
    /// Wraps `inner`, of which nothing has been read yet.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::new(), count: 0 }
    }

    /// Returns the number of bytes read so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the digest of what was read so far, and how much that is.
    #[must_use]
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.count)
    }
}

impl<R: Read> HashReader<R> {
    /// Reads the rest, and returns digest and size of everything.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn drain(mut self) -> io::Result<(Digest, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.finish())
    }
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        self.count += n as u64;
        Ok(n)
    }
}

/// Writes through, digesting and counting what is written.
#[derive(Debug)]
pub struct HashWriter<W> {
    inner: W,
    hasher: Hasher,
    count: u64,
}

impl<W> HashWriter<W> {
    /// Wraps `inner`, to which nothing has been written yet.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(), count: 0 }
    }

    /// Returns the number of bytes written so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns what was wrapped, and digest and size of what went through.
    #[must_use]
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.count)
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(data)?;
        self.hasher.update(&data[..n]);
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads through, and fails at the end unless size and digest are what was promised.
///
/// The last read returns [`io::ErrorKind::InvalidData`] instead of the end; more bytes than
/// promised fail at once. So whoever reads to the end has verified bytes, and whoever doesn't has
/// none.
#[derive(Debug)]
pub struct VerifyReader<R> {
    inner: HashReader<R>,
    digest: Digest,
    size: Option<u64>,
    verified: bool,
}

impl<R> VerifyReader<R> {
    /// Wraps `inner`, which must yield bytes of this digest, and of this size if that is known.
    pub fn new(inner: R, digest: Digest, size: Option<u64>) -> Self {
        Self { inner: HashReader::new(inner), digest, size, verified: false }
    }

    fn wrong(&self, what: String) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("Blob `{}` is corrupt: {what}", self.digest),
        )
    }
}

impl<R: Read> Read for VerifyReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.verified {
            return Ok(0);
        }
        let n = self.inner.read(buf)?;
        let (count, size) = (self.inner.count, self.size);
        if let Some(size) = size.filter(|&size| count > size || (n == 0 && count < size)) {
            return Err(self.wrong(format!("it has {count} bytes where {size} were promised")));
        }
        if n == 0 {
            let found = self.inner.hasher.clone().finish();
            if found != self.digest {
                return Err(self.wrong(format!("its digest is `{found}`")));
            }
            self.verified = true;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifying_reader_ends_only_if_all_is_as_promised() {
        let good = Digest::of(b"hello");
        let read = |data: &[u8], size| {
            let mut out = Vec::new();
            VerifyReader::new(data, good, size).read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(b"hello", Some(5)).unwrap(), b"hello");
        assert_eq!(read(b"hello", None).unwrap(), b"hello");
        for (data, size) in
            [(&b"hellp"[..], Some(5)), (b"hell", Some(5)), (b"hello!", Some(5)), (b"", None)]
        {
            assert_eq!(read(data, size).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
