//! Blobs on their way up: read block by block on a thread, never whole.

use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// How much is read at once. With the two that wait, this is what an upload holds in memory.
const BLOCK: usize = 256 << 10;

/// Bytes to be pushed, which can be read again from any offset on: uploads are resumed.
pub trait BlobSource: Send + Sync {
    /// Opens the bytes from `offset` on. Called on a thread that may block.
    ///
    /// # Errors
    /// Why they can't be read.
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

impl BlobSource for PathBuf {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = fs_err::File::open(self)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

impl BlobSource for Bytes {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        Ok(Box::new(io::Cursor::new(self.slice(start..))))
    }
}

impl BlobSource for Vec<u8> {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Bytes::copy_from_slice(self).open(offset)
    }
}

/// How an upload goes on; shared with whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes handed to the connection.
    pub(super) sent: AtomicU64,
    /// Why the source could not be read.
    pub(super) failure: std::sync::Mutex<Option<io::Error>>,
}

/// The body of a request.
pub(super) struct Body {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    progress: Arc<Progress>,
}

impl Body {
    /// Begins to read `length` bytes from `offset` on.
    pub(super) fn start(
        source: Arc<dyn BlobSource>,
        offset: u64,
        length: u64,
        progress: Arc<Progress>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || {
            let read = || -> io::Result<()> {
                let mut reader = source.open(offset)?.take(length);
                let mut left = length;
                while left > 0 {
                    let mut block = vec![0; BLOCK.min(usize::try_from(left).unwrap_or(BLOCK))];
                    reader.read_exact(&mut block)?;
                    left -= block.len() as u64;
                    // Nobody listens: the connection is gone.
                    if sender.blocking_send(Ok(block.into())).is_err() {
                        break;
                    }
                }
                Ok(())
            };
            if let Err(error) = read() {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Self { receiver, left: length, progress }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let failure = match ready!(self.receiver.poll_recv(context)) {
            Some(Ok(block)) => {
                self.left -= block.len() as u64;
                self.progress.sent.fetch_add(block.len() as u64, Ordering::Relaxed);
                return Poll::Ready(Some(Ok(Frame::data(block))));
            }
            Some(Err(error)) => error,
            None => io::ErrorKind::UnexpectedEof.into(),
        };
        let shown = io::Error::new(failure.kind(), failure.to_string());
        if let Ok(mut slot) = self.progress.failure.lock() {
            *slot = Some(failure);
        }
        Poll::Ready(Some(Err(shown)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
