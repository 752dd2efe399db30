//! Blobs on their way to a registry: where their bytes come from, and how far they are.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantry_image::registry::{BlobSource, Pushed as Sent};
use gantry_image::{Descriptor, Reference};
use gantry_solver::CancelToken;

use super::TransferError;
use super::remote::{Registry, not_pushed};

/// How often it is told how far a blob is.
const TICK: Duration = Duration::from_millis(200);

impl Registry {
    /// Sees to it that a blob, which lies in a file, is in a repository; `told` hears how many bytes
    /// have gone.
    pub(super) fn push_file(
        &self,
        to: &Reference,
        descriptor: &Descriptor,
        path: &Path,
        from: Option<&Reference>,
        told: &dyn Fn(u64),
        cancel: &CancelToken,
    ) -> Result<Sent, TransferError> {
        let sent = Arc::new(AtomicU64::new(0));
        let source = Arc::new(File { path: path.to_owned(), sent: Arc::clone(&sent) });
        let pushed = self.wait(cancel, async |client| {
            let repository = client.repository(to);
            let push = repository.push_blob(descriptor, source, from.map(Reference::path));
            let mut push = std::pin::pin!(push);
            let mut tick = tokio::time::interval(TICK);
            let mut before = 0;
            loop {
                tokio::select! {
                    pushed = &mut push => return pushed,
                    _ = tick.tick() => {
                        let now = sent.load(Ordering::Relaxed);
                        if now != before {
                            told(now);
                            before = now;
                        }
                    }
                }
            }
        });
        pushed.map_err(|error| not_pushed(to, error))
    }

    /// The same for bytes that lie in memory.
    pub(crate) fn push_bytes(
        &self,
        to: &Reference,
        descriptor: &Descriptor,
        bytes: &[u8],
        cancel: &CancelToken,
    ) -> Result<(), TransferError> {
        let source = Arc::new(bytes.to_vec());
        let pushed = self.wait(cancel, async |client| {
            client.repository(to).push_blob(descriptor, source, None).await
        });
        pushed.map(drop).map_err(|error| not_pushed(to, error))
    }

    /// Lets a registry take a blob from another of its repositories. Says whether it did.
    pub(super) fn mount(
        &self,
        to: &Reference,
        descriptor: &Descriptor,
        from: &Reference,
        cancel: &CancelToken,
    ) -> Result<bool, TransferError> {
        let mounted = self.wait(cancel, async |client| {
            client.repository(to).mount_blob(descriptor.digest, from.path()).await
        });
        mounted.map_err(|error| not_pushed(to, error))
    }
}

/// A file that counts what is read of it.
struct File {
    path: PathBuf,
    sent: Arc<AtomicU64>,
}

impl BlobSource for File {
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = fs_err::File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        self.sent.store(offset, Ordering::Relaxed);
        Ok(Box::new(Counted { file, sent: Arc::clone(&self.sent) }))
    }
}

struct Counted {
    file: fs_err::File,
    sent: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
