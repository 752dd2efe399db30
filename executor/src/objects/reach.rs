//! How object stores are reached: by the client of registries, while the caller waits.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use gantry_image::registry::{Patience, WebAnswer, WebError, WebRequest};
use gantry_solver::CancelToken;

use crate::registry::{Registry, TransferError};

/// The way to servers. Nothing is opened before it is needed.
pub(super) struct Reach {
    registry: Arc<Registry>,
    cancel: CancelToken,
    patience: Patience,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Reach {
    pub(super) fn new(registry: Arc<Registry>, cancel: CancelToken, patience: Patience) -> Self {
        Self { registry, cancel, patience }
    }

    /// Asks until there is an answer, of any status.
    pub(super) fn ask(
        &self,
        limit: u64,
        make: impl Fn() -> Result<WebRequest, WebError>,
    ) -> Result<WebAnswer, TransferError> {
        self.registry
            .wait(&self.cancel, async |client| client.web(limit, self.patience, make).await)
    }

    /// Begins to fetch `size` bytes, which come while they are read.
    pub(super) fn fetch(
        &self,
        size: u64,
        make: impl Fn(u64) -> Result<WebRequest, WebError> + Send + Sync + 'static,
    ) -> Result<Box<dyn Read + Send>, TransferError> {
        let download = self.registry.wait(&self.cancel, async |client| {
            client.web_download(size, self.patience, make).await
        })?;
        Ok(Box::new(self.registry.stream(download, &self.cancel)?.explained()))
    }

    /// Waits.
    pub(super) fn pause(&self, time: Duration) -> Result<(), TransferError> {
        self.registry.wait(&self.cancel, async |_| {
            tokio::time::sleep(time).await;
            Ok::<_, WebError>(())
        })
    }
}
