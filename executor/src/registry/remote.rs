//! The client as this room uses it: blocking, and made when somebody first asks.
//!
//! Here the async world ends: connections live on threads of a runtime of their own, and whoever
//! asks waits on a thread that may.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Buf as _, Bytes};
use gantry_image::registry::credentials::Credential;
use gantry_image::registry::{Blob, Client, Hit, RegistryError, Settings, WebDownload};
use gantry_image::{Descriptor, Digest, ImageConfig, ImageManifest, MediaType, Raw, Reference};
use gantry_solver::CancelToken;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::TransferError;

/// Chunks of a blob that wait for being unpacked.
const WAITING: usize = 16;
/// No config comes near this.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Registries, as one command or build uses them.
pub struct Registry {
    settings: Box<dyn Fn() -> Settings + Send + Sync>,
    open: OnceLock<Open>,
}

struct Open {
    client: Client,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops this may be async, and must not wait.
            runtime.shutdown_background();
        }
    }
}

/// A manifest or index, as the registry sent it.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Keeps the way to settings, which is gone the first time that something is asked for.
    pub fn new(settings: impl Fn() -> Settings + Send + Sync + 'static) -> Self {
        Self { settings: Box::new(settings), open: OnceLock::new() }
    }

    fn open(&self) -> Result<&Open, TransferError> {
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("registry")
            .enable_all()
            .build()
            .map_err(TransferError::io("start the threads of the registry client"))?;
        let open = Open { client: Client::new((self.settings)()), runtime: Some(runtime) };
        // Of two, one is dropped again.
        Ok(self.open.get_or_init(|| open))
    }

    /// Waits for an answer.
    pub(crate) fn wait<T, E>(
        &self,
        cancel: &CancelToken,
        ask: impl AsyncFnOnce(&Client) -> Result<T, E>,
    ) -> Result<T, TransferError>
    where
        TransferError: From<E>,
    {
        let open = self.open()?;
        let runtime = open.runtime.as_ref().ok_or(TransferError::Canceled)?;
        runtime.block_on(async {
            tokio::select! {
                () = cancel.canceled() => Err(TransferError::Canceled),
                answer = ask(&open.client) => Ok(answer?),
            }
        })
    }

    /// Fetches the manifest or index that a reference stands for.
    ///
    /// # Errors
    /// [`TransferError::PullDenied`], [`TransferError::NoManifest`], and what else keeps it away.
    pub fn document(
        &self,
        reference: &Reference,
        cancel: &CancelToken,
    ) -> Result<Document, TransferError> {
        let found = self.wait(cancel, async |client| client.manifest(reference).await);
        let found = found.map_err(|error| not_pulled(reference, error))?;
        Ok(Document {
            media_type: found.descriptor.media_type,
            digest: found.descriptor.digest,
            bytes: found.bytes,
        })
    }

    /// Fetches the config of the image whose manifest `document` is.
    ///
    /// # Errors
    /// As [`document`](Self::document); [`TransferError::Document`] if it is no image's.
    pub fn image_config(
        &self,
        reference: &Reference,
        document: &Document,
        cancel: &CancelToken,
    ) -> Result<Raw<ImageConfig>, TransferError> {
        let manifest = Raw::<ImageManifest>::parse(document.bytes.clone())?;
        self.config(reference, &manifest.config, cancel)
    }

    pub(super) fn config(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        cancel: &CancelToken,
    ) -> Result<Raw<ImageConfig>, TransferError> {
        let bytes = self.wait(cancel, async |client| {
            client.repository(reference).blob_bytes(descriptor, CONFIG_LIMIT).await
        })?;
        Ok(Raw::parse(bytes)?)
    }

    /// Begins to fetch a blob. Its bytes come while they are read.
    pub(super) fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        cancel: &CancelToken,
    ) -> Result<BlobStream, TransferError> {
        let blob =
            self.wait(cancel, async |client| client.repository(reference).blob(descriptor).await)?;
        self.stream(blob, cancel)
    }

    /// Lets bytes come while they are read.
    pub(crate) fn stream(
        &self,
        mut chunks: impl Chunks,
        cancel: &CancelToken,
    ) -> Result<BlobStream, TransferError> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let end = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&end);
        let cancel = cancel.clone();
        let open = self.open()?;
        let runtime = open.runtime.as_ref().ok_or(TransferError::Canceled)?;
        runtime.spawn(async move {
            let end = loop {
                let chunk = tokio::select! {
                    () = cancel.canceled() => break Err(TransferError::Canceled),
                    chunk = chunks.chunk() => chunk,
                };
                match chunk {
                    Ok(Some(chunk)) => {
                        // Nobody wants more of it.
                        if sender.send(chunk).await.is_err() {
                            break Err(TransferError::Canceled);
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        });
        Ok(BlobStream { receiver, left: Bytes::new(), end: Failures(end) })
    }

    /// Lists the tags of a repository.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    pub fn tags(
        &self,
        repository: &Reference,
        cancel: &CancelToken,
    ) -> Result<Vec<String>, TransferError> {
        let tags = self.wait(cancel, async |client| client.repository(repository).tags().await);
        tags.map_err(|error| not_pulled(repository, error))
    }

    /// Searches a registry, best hits first.
    ///
    /// # Errors
    /// [`TransferError::Registry`], also where the registry offers no search.
    pub fn search(
        &self,
        registry: &str,
        term: &str,
        limit: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Hit>, TransferError> {
        self.wait(cancel, async |client| client.search(registry, term, limit).await)
    }

    /// Tries a credential, and returns the one to keep.
    ///
    /// # Errors
    /// [`TransferError::LoginDenied`] if the registry doesn't take it.
    pub fn login(
        &self,
        registry: &str,
        credential: Credential,
        cancel: &CancelToken,
    ) -> Result<Credential, TransferError> {
        let taken = self.wait(cancel, async |client| client.login(registry, credential).await);
        taken.map_err(|error| match error {
            TransferError::Registry(source) if matches!(*source, RegistryError::Denied { .. }) => {
                TransferError::LoginDenied { source }
            }
            other => other,
        })
    }

    /// Is the blob in the repository?
    pub(super) fn has_blob(
        &self,
        to: &Reference,
        descriptor: &Descriptor,
        cancel: &CancelToken,
    ) -> Result<bool, TransferError> {
        let found = self
            .wait(cancel, async |client| client.repository(to).has_blob(descriptor.digest).await);
        found.map_err(|error| not_pushed(to, error))
    }

    /// Puts a manifest or index under the tag or digest of `to`.
    ///
    /// # Errors
    /// [`TransferError::PushDenied`], and what else the registry has against it.
    pub fn put(
        &self,
        to: &Reference,
        media_type: &MediaType,
        bytes: &[u8],
        cancel: &CancelToken,
    ) -> Result<(), TransferError> {
        let tags: Vec<&str> = to.tag().into_iter().collect();
        let put = self.wait(cancel, async |client| {
            client.repository(to).push_manifest(media_type, bytes, &tags).await
        });
        put.map(drop).map_err(|error| not_pushed(to, error))
    }
}

/// Bytes on their way.
pub(crate) trait Chunks: Send + 'static {
    /// Returns the next ones; `None` at their good end.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, TransferError>> + Send;
}

impl Chunks for Blob {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransferError> {
        Ok(Self::chunk(self).await?)
    }
}

impl Chunks for WebDownload {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransferError> {
        Ok(Self::chunk(self).await?)
    }
}

/// Bytes on their way, read on a thread that may wait. Those of a blob end only after digest and size
/// were found right.
pub(crate) struct BlobStream {
    receiver: mpsc::Receiver<Bytes>,
    left: Bytes,
    end: Failures,
}

/// Why a stream ended, if it did not end well.
#[derive(Clone)]
pub(super) struct Failures(Arc<Mutex<Option<Result<(), TransferError>>>>);

impl Failures {
    /// Takes the failure out, once.
    pub(super) fn take(&self) -> Option<TransferError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?.err()
    }

    fn is_good(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Some(Ok(())))
    }
}

impl BlobStream {
    /// Tells later why it ended.
    pub(super) fn failures(&self) -> Failures {
        self.end.clone()
    }

    /// Makes failures say what the other side said.
    pub(crate) fn explained(self) -> impl Read + Send {
        Explained { failures: self.failures(), stream: self }
    }
}

struct Explained {
    stream: BlobStream,
    failures: Failures,
}

impl Read for Explained {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer);
        read.map_err(|error| self.failures.take().map_or(error, io::Error::other))
    }
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.left = chunk,
                None if self.end.is_good() => return Ok(0),
                None => return Err(io::Error::other("The registry's answer ended too early")),
            }
        }
        let count = self.left.len().min(buffer.len());
        self.left.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// What docker calls a failed pull.
pub(super) fn not_pulled(reference: &Reference, error: TransferError) -> TransferError {
    let TransferError::Registry(source) = error else { return error };
    match &*source {
        RegistryError::Denied { .. } => {
            TransferError::PullDenied { repository: reference.familiar_name(), source }
        }
        RegistryError::NotFound { said, .. } => {
            if said.codes().any(|code| code == "NAME_UNKNOWN") {
                return TransferError::PullDenied { repository: reference.familiar_name(), source };
            }
            TransferError::NoManifest { reference: reference.familiar() }
        }
        _ => TransferError::Registry(source),
    }
}

/// What docker calls a failed push.
pub(super) fn not_pushed(reference: &Reference, error: TransferError) -> TransferError {
    match error {
        TransferError::Registry(source) if matches!(*source, RegistryError::Denied { .. }) => {
            TransferError::PushDenied { repository: reference.familiar_name(), source }
        }
        other => other,
    }
}
