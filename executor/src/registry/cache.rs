//! A build cache in a repository: `type=registry`.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use gantry_cache::Store;
use gantry_cache::remote::{Found, RemoteCache, RemoteError};
use gantry_image::{Descriptor, Digest, MediaType, Reference};
use gantry_solver::CancelToken;

use super::{Registry, TransferError};

/// More than this is no document that is kept in memory.
const SMALL: u64 = 1 << 20;

/// A cache by its reference.
pub(crate) struct RegistryCache {
    registry: Arc<Registry>,
    reference: Reference,
    store: Store,
    cancel: CancelToken,
}

impl RegistryCache {
    /// Takes the cache at a reference. Nothing is asked yet.
    pub(crate) fn new(
        registry: Arc<Registry>,
        reference: Reference,
        store: Store,
        cancel: CancelToken,
    ) -> Self {
        let reference = reference.with_default_tag();
        Self { registry, reference, store, cancel }
    }

    fn failed(&self, what: &str) -> impl FnOnce(TransferError) -> RemoteError {
        let what = format!("{what} {}", self.reference.familiar());
        |source| RemoteError::Transport { what, source: Box::new(source) }
    }
}

impl fmt::Debug for RegistryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegistryCache").field(&self.reference).finish()
    }
}

impl RemoteCache for RegistryCache {
    fn place(&self) -> String {
        self.reference.familiar()
    }

    fn is_near(&self) -> bool {
        false
    }

    fn image(&self) -> Option<String> {
        Some(self.reference.to_string())
    }

    fn found(&self) -> Result<Vec<Found>, RemoteError> {
        match self.registry.document(&self.reference, &self.cancel) {
            Ok(document) => Ok(vec![Found::Manifest(document.bytes.to_vec())]),
            Err(TransferError::NoManifest { .. }) => Ok(Vec::new()),
            Err(error) => Err(self.failed("read the cache")(error)),
        }
    }

    fn read(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, RemoteError> {
        if blob.media_type.is_manifest() || blob.media_type.is_index() {
            let document = self
                .registry
                .document(&self.reference.with_digest(blob.digest), &self.cancel)
                .map_err(self.failed("read the cache"))?;
            return Ok(Box::new(io::Cursor::new(document.bytes.to_vec())));
        }
        let stream = self.registry.blob(&self.reference, blob, &self.cancel);
        Ok(Box::new(stream.map_err(self.failed("fetch from the cache"))?))
    }

    fn missing(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError> {
        let mut missing = Vec::new();
        for blob in blobs {
            let found = self.registry.has_blob(&self.reference, blob, &self.cancel);
            if !found.map_err(self.failed("look into the cache"))? {
                missing.push(blob.digest);
            }
        }
        Ok(missing)
    }

    fn write(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<(), RemoteError> {
        if blob.size <= SMALL {
            let mut bytes = Vec::new();
            from.take(SMALL + 1)
                .read_to_end(&mut bytes)
                .map_err(RemoteError::io("read what is to be cached"))?;
            let pushed = self.registry.push_bytes(&self.reference, blob, &bytes, &self.cancel);
            return pushed.map_err(self.failed("write the cache"));
        }
        // An upload that breaks off goes on in the middle, which a stream can't.
        if self.store.blobs().size(&blob.digest)?.is_none() {
            let mut writer = self.store.blobs().writer()?;
            io::copy(from, &mut writer).map_err(RemoteError::io("read what is to be cached"))?;
            writer.finish(Some(blob.digest))?;
        }
        let path = self.store.blobs().path(&blob.digest);
        let to = &self.reference;
        let pushed = self.registry.push_file(to, blob, &path, None, &|_| {}, &self.cancel);
        pushed.map(drop).map_err(self.failed("write the cache"))
    }

    fn take(&self, blob: &Descriptor, image: &str) -> Result<bool, RemoteError> {
        let to = &self.reference;
        let near = |from: &Reference| from.domain() == to.domain() && from.path() != to.path();
        match image.parse::<Reference>().ok().filter(near) {
            Some(from) => {
                let mounted = self.registry.mount(to, blob, &from, &self.cancel);
                mounted.map_err(self.failed("write the cache"))
            }
            None => Ok(false),
        }
    }

    fn commit(&self, manifest: &[u8], media_type: &MediaType) -> Result<(), RemoteError> {
        let put = self.registry.put(&self.reference, media_type, manifest, &self.cancel);
        put.map_err(self.failed("write the cache"))
    }
}
