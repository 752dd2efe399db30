//! Blobs on their way down: streamed, resumed where the connection broke, verified at the end.

use bytes::Bytes;
use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::client::{Repository, reading};
use super::error::RegistryError;
use super::hosts::Endpoint;
use super::incoming::{Came, Incoming, Unfit};
use super::retry::Tries;
use super::send::Call;
use super::transport::refuse_link_local;
use crate::digest::{Digest, Hasher};
use crate::manifest::Descriptor;

impl Repository {
    /// Begins to fetch a blob. Foreign layers come from their `urls` first (without credentials),
    /// everything else from the mirrors and the registry.
    ///
    /// If the blob turns out corrupt, call this again: who sent it isn't asked for it again as long
    /// as there is somebody else.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::Denied`] and whatever keeps it from beginning.
    pub async fn blob(&self, descriptor: &Descriptor) -> Result<Blob, RegistryError> {
        self.blob_after(descriptor, Hasher::new(), 0).await
    }

    /// The same for a blob whose first `count` bytes are here already, hashed into `hasher`.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    pub async fn blob_after(
        &self,
        descriptor: &Descriptor,
        hasher: Hasher,
        count: u64,
    ) -> Result<Blob, RegistryError> {
        let retry = &self.inner().settings.retry;
        let mut sources = Vec::new();
        if descriptor.media_type.is_foreign() {
            for url in descriptor.urls.iter().filter_map(|url| Url::parse(url).ok()) {
                if matches!(url.scheme(), "http" | "https") {
                    sources.push((Source::Foreign(url), Tries::few(retry)));
                }
            }
        }
        let readers = self.readers(true)?.into_iter();
        sources
            .extend(readers.map(|(endpoint, tries)| (Source::Endpoint(Box::new(endpoint)), tries)));
        let digest = descriptor.digest;
        if !sources.iter().all(|(source, _)| self.inner().is_liar(&source.host(), digest)) {
            sources.retain(|(source, _)| !self.inner().is_liar(&source.host(), digest));
        }
        // The last one is asked first.
        sources.reverse();
        let mut blob = Blob {
            repository: self.clone(),
            digest,
            sources,
            incoming: Incoming::new(descriptor.size, count),
            hasher,
            state: State::Reading,
        };
        if count < descriptor.size || count == 0 {
            blob.open().await?;
        }
        Ok(blob)
    }

    /// Fetches a small blob, such as a config, whole.
    ///
    /// # Errors
    /// As [`blob`](Self::blob), and [`RegistryError::Refused`] if it has more bytes than `limit`.
    pub async fn blob_bytes(
        &self,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        if descriptor.size > limit {
            return Err(RegistryError::Refused {
                host: self.registry.clone(),
                reason: format!("`{}` has more than {limit} bytes", descriptor.digest),
            });
        }
        let mut blob = self.blob(descriptor).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Is a blob of this digest in the repository?
    ///
    /// # Errors
    /// [`RegistryError`], if it can't be said.
    pub async fn has_blob(&self, digest: Digest) -> Result<bool, RegistryError> {
        let endpoint = self.itself()?;
        self.has_blob_at(&endpoint, digest, reading(&endpoint)).await
    }

    pub(super) async fn has_blob_at(
        &self,
        endpoint: &Endpoint,
        digest: Digest,
        scopes: super::auth::Scopes,
    ) -> Result<bool, RegistryError> {
        let url = self.inner().url(endpoint, &format!("blobs/{digest}")).await?;
        let mut tries = Tries::new(&self.inner().settings.retry);
        let call = Call::new(Method::HEAD, url).scoped(scopes);
        let answer = self.inner().call(endpoint, &call, &mut tries).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => {
                let what = format!("{}@{digest}", endpoint.name());
                Err(answer.refuse(&what, "look for the blob", false).await)
            }
        }
    }
}

/// A blob on its way. Nothing of it can be trusted before [`chunk`](Self::chunk) has returned `None`.
pub struct Blob {
    repository: Repository,
    digest: Digest,
    /// Whom to ask; the last one first.
    sources: Vec<(Source, Tries)>,
    incoming: Incoming,
    hasher: Hasher,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Verified,
    Failed,
}

enum Source {
    Endpoint(Box<Endpoint>),
    /// An address of a foreign layer, to which nothing secret goes.
    Foreign(Url),
}

impl Source {
    fn host(&self) -> String {
        match self {
            Self::Endpoint(endpoint) => endpoint.authority.clone(),
            Self::Foreign(url) => super::send::authority(url),
        }
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob")
            .field("digest", &self.digest)
            .field("size", &self.size())
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl Blob {
    /// Returns the size that was promised, and that it has if it can be read to its end.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.incoming.size()
    }

    /// Returns how many bytes there were so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.incoming.count()
    }

    /// Returns the next bytes; `None` at the end, if size and digest are what was promised.
    ///
    /// A broken connection is made anew, and goes on where it was.
    ///
    /// # Errors
    /// [`RegistryError::Corrupt`] at the end, or as soon as there are too many bytes. After an error
    /// there is nothing more to come.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        match self.state {
            State::Verified => return Ok(None),
            State::Failed => return Err(self.corrupt("it was read on after an error".to_owned())),
            State::Reading => {}
        }
        let result = self.next().await;
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Verified,
            Err(_) => self.state = State::Failed,
        }
        result
    }

    async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            match self.incoming.next().await {
                Came::All => return self.verify().map(|()| None),
                Came::Bytes(bytes) => {
                    self.hasher.update(&bytes);
                    if self.incoming.has_headway()
                        && let Some((_, tries)) = self.sources.last_mut()
                    {
                        tries.headway();
                    }
                    return Ok(Some(bytes));
                }
                Came::Unasked => self.open().await?,
                Came::Broken(failure) => self.failed(failure).await?,
                Came::Unfit(unfit) => return Err(self.lie(unfit.to_string())),
            }
        }
    }

    fn verify(&mut self) -> Result<(), RegistryError> {
        let found = self.hasher.clone().finish();
        if found == self.digest {
            // What is left of the answer is nothing, so the connection serves the next request.
            return Ok(());
        }
        Err(self.lie(format!("its digest is `{found}`")))
    }

    /// Remembers who sent wrong bytes.
    fn lie(&self, reason: String) -> RegistryError {
        if let Some((source, _)) = self.sources.last() {
            self.repository.inner().lied(&source.host(), self.digest);
        }
        self.corrupt(reason)
    }

    fn corrupt(&self, reason: String) -> RegistryError {
        let host = self.sources.last().map_or_else(String::new, |(source, _)| source.host());
        RegistryError::Corrupt { what: self.digest.to_string(), host, reason }
    }

    /// Makes a connection to whoever comes next, and skips to where we are.
    async fn open(&mut self) -> Result<(), RegistryError> {
        while let Err(failure) = self.request().await {
            self.failed(failure).await?;
        }
        Ok(())
    }

    /// Waits for the next try, or goes on to the next source, or gives up.
    async fn failed(&mut self, failure: RegistryError) -> Result<(), RegistryError> {
        let Some((_, tries)) = self.sources.last_mut() else { return Err(failure) };
        if let Some(delay) = tries.next(&failure) {
            self.repository.inner().retrying(&failure, delay);
            tokio::time::sleep(delay).await;
            return Ok(());
        }
        if self.sources.len() < 2 {
            return Err(failure);
        }
        if let Some((Source::Endpoint(endpoint), _)) = self.sources.pop() {
            self.repository.inner().mirror_failed(&endpoint, &failure);
        }
        Ok(())
    }

    /// One try.
    async fn request(&mut self) -> Result<(), RegistryError> {
        let inner = self.repository.inner();
        let what = format!("{}@{}", self.repository.name(), self.digest);
        let Some((source, _)) = self.sources.last() else { return Err(RegistryError::Interrupted) };
        let count = self.count();
        let range = HeaderValue::from_str(&format!("bytes={count}-")).ok();
        let range = range.filter(|_| count > 0);
        let answer = match source {
            Source::Endpoint(endpoint) => {
                let url = inner.url(endpoint, &format!("blobs/{}", self.digest)).await?;
                let mut call = Call::new(Method::GET, url).scoped(reading(endpoint));
                call.headers.extend(range.map(|range| (RANGE, range)));
                inner.once(endpoint, &call).await?
            }
            Source::Foreign(url) => {
                refuse_link_local(url, &source.host())?;
                let mut call = Call::new(Method::GET, url.clone());
                call.headers.extend(range.map(|range| (RANGE, range)));
                inner.fetch_foreign(&call).await?
            }
        };
        let good = match answer.status() {
            StatusCode::OK => true,
            StatusCode::PARTIAL_CONTENT => count > 0,
            _ => false,
        };
        if !good {
            return Err(answer.refuse(&what, "send the blob", false).await);
        }
        let host = answer.host.clone();
        self.incoming.begin(answer).map_err(|unfit| {
            if let Unfit::Size { .. } = unfit {
                inner.lied(&source.host(), self.digest);
            }
            RegistryError::Corrupt { what, host, reason: unfit.to_string() }
        })
    }
}
