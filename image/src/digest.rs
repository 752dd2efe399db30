//! Content digests, and the adapters that compute them while bytes pass by.
//!
//! Owns the sha256 of the room. [`Digest`] is the one door for digest text: behind it nobody checks
//! again. Other algorithms that OCI knows (sha512, blake3) are refused with a name, since docker
//! and BuildKit write none of them and two algorithms would mean two identities for one blob.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A sha256, written `sha256:` and 64 lowercase hex digits.
///
/// Holding one means that the text was well formed, not that such bytes exist anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// The digest of a layer's *uncompressed* tar; what `rootfs.diff_ids` lists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// Text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// There is no `algorithm:` in front, or the hex part is not 64 lowercase hex digits.
    #[error("`{0}` is not a digest (`sha256:` and 64 lowercase hex digits)")]
    Malformed(String),
    /// An algorithm other than sha256.
    #[error("Digest `{text}` uses `{algorithm}`, only sha256 is supported")]
    Algorithm {
        /// The whole digest as it was written.
        text: String,
        /// What stands before the colon.
        algorithm: String,
    },
}

impl Digest {
    /// Takes the 32 bytes of a sha256 as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Digests `data`.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(data);
        hasher.finish()
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 hex digits, without `sha256:`; the file name in an OCI layout.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }

    /// Returns the first 12 hex digits, as docker shows IDs.
    #[must_use]
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }

    /// Parses 64 lowercase hex digits without `sha256:`.
    ///
    /// # Errors
    /// [`ParseDigestError::Malformed`] for anything else.
    pub fn from_hex(hex: &str) -> Result<Self, ParseDigestError> {
        fn digit(byte: u8) -> Option<u8> {
            match byte {
                b'0'..=b'9' => Some(byte - b'0'),
                b'a'..=b'f' => Some(byte - b'a' + 10),
                _ => None,
            }
        }
        let malformed = || ParseDigestError::Malformed(hex.to_owned());
        let text: &[u8; 64] = hex.as_bytes().try_into().map_err(|_| malformed())?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])
                .zip(digit(pair[1]))
                .map(|(h, l)| h << 4 | l)
                .ok_or_else(malformed)?;
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || ParseDigestError::Malformed(text.to_owned());
        let (algorithm, hex) = text.split_once(':').ok_or_else(malformed)?;
        match algorithm {
            "sha256" => Self::from_hex(hex).map_err(|_| malformed()),
            "" => Err(malformed()),
            _ => Err(ParseDigestError::Algorithm {
                text: text.to_owned(),
                algorithm: algorithm.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for DiffId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

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

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_goes_both_ways_and_only_one_way_of_writing_is_taken() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest, Digest::of(b""));
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest.short(), "e3b0c44298fc");
        for bad in ["", "sha256:", ":", &EMPTY.to_uppercase(), &EMPTY[..70], &format!("{EMPTY}0")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        let sha512 = format!("sha512:{}", "0".repeat(128)).parse::<Digest>().unwrap_err();
        assert!(sha512.to_string().contains("only sha256"), "{sha512}");
    }

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
