//! [`HashBeside`]: a reader whose bytes another thread digests, while they are used.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Digest, Hasher};

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// From this many bytes on a thread is worth its start.
const ALONE: u64 = 1 << 20;
/// How many pieces the reader may be ahead of the thread.
const AHEAD: usize = 3;

/// Reads ahead in large pieces, and digests all that `inner` yields: what is short at once, what
/// is long on a thread of its own. Takes two megabytes at most.
///
/// The digest is of what was read from `inner`, which is more than what was taken out of here,
/// unless that was everything.
#[derive(Debug)]
pub struct HashBeside<R> {
    inner: R,
    piece: Arc<Vec<u8>>,
    at: usize,
    count: u64,
    ended: Option<io::Result<()>>,
    hashing: Hashing,
}

#[derive(Debug)]
enum Hashing {
    Here(Hasher),
    Beside {
        pieces: SyncSender<Arc<Vec<u8>>>,
        /// Pieces that the thread was the last to use.
        used: Receiver<Vec<u8>>,
        thread: JoinHandle<Hasher>,
    },
}

impl<R> HashBeside<R> {
    /// Wraps `inner`, of which nothing has been read yet.
    pub fn new(inner: R) -> Self {
        let hashing = Hashing::Here(Hasher::new());
        Self { inner, piece: Arc::default(), at: 0, count: 0, ended: None, hashing }
    }

    /// Returns the digest of all that was read from `inner`, and how much that is.
    ///
    /// # Errors
    /// If the thread that digests died.
    pub fn finish(self) -> io::Result<(Digest, u64)> {
        let hasher = match self.hashing {
            Hashing::Here(hasher) => hasher,
            Hashing::Beside { pieces, thread, .. } => {
                drop(pieces);
                thread.join().map_err(|_| stopped())?
            }
        };
        Ok((hasher.finish(), self.count))
    }
}

impl<R: Read> HashBeside<R> {
    /// Gets the next piece; an empty one at the end.
    fn next(&mut self) -> io::Result<()> {
        let mut free = Arc::into_inner(std::mem::take(&mut self.piece));
        self.at = 0;
        if let Some(ended) = &mut self.ended {
            return std::mem::replace(ended, Ok(()));
        }
        if let (Hashing::Beside { used, .. }, true) = (&self.hashing, free.is_none()) {
            free = used.try_recv().ok();
        }
        let mut piece = free.unwrap_or_default();
        piece.resize(PIECE, 0);
        let mut filled = 0;
        while filled < PIECE && self.ended.is_none() {
            match self.inner.read(&mut piece[filled..]) {
                Ok(0) => self.ended = Some(Ok(())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What came before it is worth reading.
                Err(error) => self.ended = Some(Err(error)),
            }
        }
        piece.truncate(filled);
        self.count += filled as u64;
        self.piece = Arc::new(piece);
        if filled == 0 {
            return self.ended.replace(Ok(())).unwrap_or(Ok(()));
        }
        if let Hashing::Here(hasher) = &mut self.hashing
            && self.count > ALONE
            && self.ended.is_none()
            && let Some(beside) = beside(hasher)
        {
            self.hashing = beside;
        }
        match &mut self.hashing {
            Hashing::Here(hasher) => hasher.update(&self.piece),
            Hashing::Beside { pieces, .. } => {
                pieces.send(Arc::clone(&self.piece)).map_err(|_| stopped())?;
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for HashBeside<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.at == self.piece.len() {
            self.next()?;
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Goes on digesting on a thread; `None` where there can be none.
fn beside(hasher: &Hasher) -> Option<Hashing> {
    let (pieces, to_hash) = sync_channel::<Arc<Vec<u8>>>(AHEAD);
    let (back, used): (Sender<Vec<u8>>, _) = channel();
    let mut hasher = hasher.clone();
    let work = move || {
        for piece in to_hash {
            hasher.update(&piece);
            if let Some(piece) = Arc::into_inner(piece) {
                // Whoever reads may be done already.
                let _ = back.send(piece);
            }
        }
        hasher
    };
    let thread = Builder::new().name("sha256".to_owned()).spawn(work).ok()?;
    Some(Hashing::Beside { pieces, used, thread })
}

fn stopped() -> io::Error {
    io::Error::other("The thread that digests has stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields bytes in pieces of changing sizes, and then fails or ends.
    struct Trickle(Vec<u8>, usize, bool);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = (self.1 * 7919 % 100_000 + 1).min(buffer.len()).min(self.0.len() - self.1);
            buffer[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
            self.1 += count;
            match count == 0 && self.2 {
                true => Err(io::Error::other("broken")),
                false => Ok(count),
            }
        }
    }

    #[test]
    fn digests_are_those_of_all_bytes_whatever_their_number() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 1 << 20, (1 << 20) + 1, 5_000_001] {
            let bytes: Vec<u8> = (0..size).map(|n| (n * 31 / 7) as u8).collect();
            let mut reader = HashBeside::new(Trickle(bytes.clone(), 0, false));
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert!(out == bytes, "{size}");
            assert_eq!(reader.finish().unwrap(), (Digest::of(&bytes), size as u64), "{size}");
        }
    }

    #[test]
    fn what_came_before_an_error_is_read_first() {
        for size in [0, 10, PIECE, 3_000_000] {
            let mut reader = HashBeside::new(Trickle(vec![7; size], 0, true));
            let mut out = Vec::new();
            assert_eq!(reader.read_to_end(&mut out).unwrap_err().to_string(), "broken", "{size}");
            assert_eq!(out.len(), size);
        }
    }
}
