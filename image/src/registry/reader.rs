//! Blobs for code that blocks: unpacking reads while the bytes arrive.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;

use super::blob::Blob;

/// Reads a [`Blob`] from a thread that may block. The end comes only after digest and size were
/// found right; until then nothing that was read can be trusted.
#[derive(Debug)]
pub struct BlobReader {
    blob: Blob,
    handle: Handle,
    left: Bytes,
}

impl Blob {
    /// Makes a reader of it. It must not be read on a thread of the runtime, and a runtime of one
    /// thread must be running on another.
    #[must_use]
    pub fn into_reader(self, handle: Handle) -> BlobReader {
        BlobReader { blob: self, handle, left: Bytes::new() }
    }
}

impl BlobReader {
    /// Returns how many bytes came over the network so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.blob.count()
    }
}

impl Read for BlobReader {
    /// Fails with a [`RegistryError`](super::RegistryError) inside.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.left.is_empty() {
            match self.handle.block_on(self.blob.chunk()).map_err(io::Error::other)? {
                Some(bytes) => self.left = bytes,
                None => return Ok(0),
            }
        }
        let n = self.left.len().min(buf.len());
        self.left.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}
