//! Blobs on their way up: asked for, mounted, sent in one or in pieces, resumed where it broke.

use std::sync::Arc;

use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Method, StatusCode, Url};

use super::auth::Scopes;
use super::body::{BlobSource, Body, Progress};
use super::client::Repository;
use super::error::RegistryError;
use super::hosts::Endpoint;
use super::range::uploaded;
use super::retry::Tries;
use super::send::{Answer, Call, authority, redirected, same_origin};
use super::transport;
use crate::digest::Digest;
use crate::manifest::Descriptor;

/// The pieces in which a blob goes that is too large for one request.
const PIECE: u64 = 32 << 20;

/// How a blob came to be in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// The registry took it from another repository of its own.
    Mounted,
    /// It was sent.
    Uploaded,
}

impl Repository {
    /// Sees to it that a blob is in the repository, sending as little as can be: nothing if it is
    /// there, or if the registry can take it from its repository `mount_from`.
    ///
    /// A broken upload goes on where it was. Memory doesn't depend on the blob's size. Progress is
    /// what `source` is asked for.
    ///
    /// # Errors
    /// [`RegistryError::Denied`], [`RegistryError::Status`] with the registry's reason,
    /// [`RegistryError::Source`] if the blob can't be read.
    pub async fn push_blob(
        &self,
        descriptor: &Descriptor,
        source: Arc<dyn BlobSource>,
        mount_from: Option<&str>,
    ) -> Result<Pushed, RegistryError> {
        let endpoint = self.itself()?;
        let scopes = Scopes::push(&endpoint.repository);
        if self.has_blob_at(&endpoint, descriptor.digest, scopes.clone()).await? {
            return Ok(Pushed::Existed);
        }
        let (digest, size) = (descriptor.digest, descriptor.size);
        let mut begun = None;
        if let Some(from) = mount_from.filter(|from| *from != endpoint.repository) {
            match self.begin(&endpoint, Some((digest, from))).await {
                Ok(Begun::Mounted) => return Ok(Pushed::Mounted),
                Ok(Begun::Session(session)) => begun = Some(session),
                // Whoever may not read the other repository may write to this one.
                Err(failure) if failure.is_transient() => return Err(failure),
                Err(_) => {}
            }
        }
        let session = match begun {
            Some(session) => session,
            None => self.session(&endpoint).await?,
        };
        let chunk = self.inner().settings.chunk.map(|chunk| chunk.max(session.least).max(1));
        let upload =
            Upload { repository: self, endpoint, digest, size, source, session, chunk, scopes };
        upload.run().await.map(|()| Pushed::Uploaded)
    }

    /// Lets the registry take a blob from another of its repositories. Returns whether it did.
    ///
    /// # Errors
    /// [`RegistryError`], if it doesn't want to talk about it.
    pub async fn mount_blob(&self, digest: Digest, from: &str) -> Result<bool, RegistryError> {
        let endpoint = self.itself()?;
        match self.begin(&endpoint, Some((digest, from))).await? {
            Begun::Mounted => Ok(true),
            Begun::Session(session) => {
                // Nothing will come, so that the registry needn't wait for it.
                let call = Call::new(Method::DELETE, session.location.clone());
                let call = call.scoped(Scopes::push(&endpoint.repository));
                if same_origin(&session.location, &session.origin) {
                    let mut tries = Tries::few(&self.inner().settings.retry);
                    let _ = self.inner().call(&endpoint, &call, &mut tries).await;
                }
                Ok(false)
            }
        }
    }

    async fn session(&self, endpoint: &Endpoint) -> Result<Session, RegistryError> {
        match self.begin(endpoint, None).await? {
            Begun::Session(session) => Ok(session),
            Begun::Mounted => Err(RegistryError::Refused {
                host: endpoint.authority.clone(),
                reason: "it has a blob that was not yet sent".to_owned(),
            }),
        }
    }

    async fn begin(
        &self,
        endpoint: &Endpoint,
        mount: Option<(Digest, &str)>,
    ) -> Result<Begun, RegistryError> {
        let mut url = self.inner().url(endpoint, "blobs/uploads/").await?;
        let mut scopes = Scopes::push(&endpoint.repository);
        if let Some((digest, from)) = mount {
            let digest = digest.to_string();
            url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
            scopes = scopes.join(&Scopes::pull(from));
        }
        let mut call = Call::new(Method::POST, url.clone()).scoped(scopes);
        call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let mut tries = Tries::new(&self.inner().settings.retry);
        let answer = self.inner().call(endpoint, &call, &mut tries).await?;
        match answer.status() {
            StatusCode::CREATED if mount.is_some() => Ok(Begun::Mounted),
            StatusCode::ACCEPTED => {
                let least =
                    answer.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
                let location = location(&answer, &url)?.ok_or_else(|| RegistryError::Refused {
                    host: answer.host.clone(),
                    reason: "it doesn't say where to send a blob".to_owned(),
                })?;
                // No registry wants pieces that large; one that says so wants the blob whole.
                let least = least.unwrap_or(0).min(1 << 32);
                Ok(Begun::Session(Session { origin: url, location, offset: 0, least }))
            }
            _ => Err(answer.refuse(&endpoint.name(), "take a blob for", false).await),
        }
    }
}

enum Begun {
    Mounted,
    Session(Session),
}

/// An upload as the registry knows it.
struct Session {
    /// An address of the registry itself: what is secret goes there only.
    origin: Url,
    location: Url,
    /// How much the registry has.
    offset: u64,
    /// The least size of a piece.
    least: u64,
}

struct Upload<'a> {
    repository: &'a Repository,
    endpoint: Endpoint,
    digest: Digest,
    size: u64,
    source: Arc<dyn BlobSource>,
    session: Session,
    /// The size of pieces; all in one if `None`.
    chunk: Option<u64>,
    scopes: Scopes,
}

impl Upload<'_> {
    async fn run(mut self) -> Result<(), RegistryError> {
        let inner = self.repository.inner();
        let mut tries = Tries::new(&inner.settings.retry);
        let (mut best, mut stalls) = (0, 0);
        let mut again = true;
        loop {
            let before = self.session.offset;
            let failure = match self.step().await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    if self.session.offset > best {
                        (best, stalls) = (self.session.offset, 0);
                        tries.headway();
                    }
                    // It may say that it took a piece, and have no more than before.
                    stalls += u32::from(self.session.offset <= before);
                    if stalls < inner.settings.retry.tries.max(2) {
                        continue;
                    }
                    return Err(RegistryError::Refused {
                        host: self.endpoint.authority.clone(),
                        reason: "it takes parts of a blob and has none of them".to_owned(),
                    });
                }
                Err(failure) => failure,
            };
            match &failure {
                RegistryError::Status { status: 413, .. } if self.chunk.is_none() => {
                    self.chunk = Some(PIECE.max(self.session.least));
                    self.session = self.repository.session(&self.endpoint).await?;
                }
                // What was put together of pieces isn't the blob; or the registry forgot the upload.
                RegistryError::Status { status: 400 | 416, .. }
                | RegistryError::NotFound { .. }
                    if again =>
                {
                    again = false;
                    self.session = self.repository.session(&self.endpoint).await?;
                }
                _ => {
                    inner.pause(&mut tries, failure).await?;
                    self.resume().await?;
                }
            }
        }
    }

    /// Sends the next piece, or all. Returns whether the blob is there now.
    async fn step(&mut self) -> Result<bool, RegistryError> {
        let left = self.size - self.session.offset;
        if (self.chunk.is_none() && self.session.offset == 0) || left == 0 {
            let mut url = self.session.location.clone();
            url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
            let answer = self.send(Method::PUT, url, left, HeaderMap::new()).await?;
            if !answer.status().is_success() {
                return Err(answer.refuse(&self.what(), "take the blob", false).await);
            }
            return Ok(true);
        }
        let length = self.chunk.unwrap_or(left).min(left);
        let (start, end) = (self.session.offset, self.session.offset + length);
        let range = HeaderValue::from_str(&format!("{start}-{}", end - 1));
        let headers = range.into_iter().map(|range| (CONTENT_RANGE, range)).collect();
        let answer =
            self.send(Method::PATCH, self.session.location.clone(), length, headers).await?;
        match answer.status() {
            status if status.is_success() => {
                self.session.offset = end;
                self.accept(&answer, start)?;
                Ok(false)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let failure = answer.refuse(&self.what(), "take a piece of the blob", false).await;
                self.resume().await?;
                // It has what we thought it has, and takes it not.
                if self.session.offset == start { Err(failure) } else { Ok(false) }
            }
            _ => Err(answer.refuse(&self.what(), "take a piece of the blob", false).await),
        }
    }

    /// Asks the registry how much it has; begins anew if it can't say.
    async fn resume(&mut self) -> Result<(), RegistryError> {
        let inner = self.repository.inner();
        if same_origin(&self.session.location, &self.session.origin) {
            let call = Call::new(Method::GET, self.session.location.clone());
            let call = call.scoped(self.scopes.clone());
            let mut tries = Tries::new(&inner.settings.retry);
            if let Ok(answer) = inner.call(&self.endpoint, &call, &mut tries).await
                && answer.status().is_success()
                && answer.header(RANGE.as_str()).is_some()
            {
                self.session.offset = 0;
                return self.accept(&answer, 0);
            }
        }
        self.session = self.repository.session(&self.endpoint).await?;
        Ok(())
    }

    /// Takes over what an answer says: where to go on, and from where.
    fn accept(&mut self, answer: &Answer, least: u64) -> Result<(), RegistryError> {
        if let Some(has) = answer.header(RANGE.as_str()).and_then(uploaded) {
            if has > self.size || has < least {
                return Err(RegistryError::Refused {
                    host: answer.host.clone(),
                    reason: format!("it has {has} bytes of a blob of {}", self.size),
                });
            }
            // "0-0" is no bytes or one; after a piece of one byte it is one.
            if !(has == 0 && self.session.offset == 1) {
                self.session.offset = has;
            }
        }
        if let Some(location) = location(answer, &self.session.origin)? {
            self.session.location = location;
        }
        Ok(())
    }

    /// Sends `length` bytes from where we are.
    async fn send(
        &self,
        method: Method,
        url: Url,
        length: u64,
        headers: HeaderMap,
    ) -> Result<Answer, RegistryError> {
        let inner = self.repository.inner();
        let host = authority(&url);
        let own = same_origin(&url, &self.session.origin);
        let (settings, proof) = if own {
            let proof = inner.auth.proof(inner, &self.endpoint, &self.scopes).await?;
            (self.endpoint.settings.clone(), proof)
        } else {
            (inner.settings.hosts.elsewhere(&host, &self.endpoint.settings)?, None)
        };
        let mut request = reqwest::Request::new(method, url.clone());
        *request.headers_mut() = headers;
        let octets = HeaderValue::from_static("application/octet-stream");
        request.headers_mut().insert(CONTENT_TYPE, octets);
        if own {
            request.headers_mut().extend(inner.headers().await?);
        }
        if let Some(proof) = &proof {
            request.headers_mut().insert(reqwest::header::AUTHORIZATION, proof.value.clone());
        }
        let progress = Arc::new(Progress::default());
        if length == 0 {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        } else {
            let source = self.source.clone();
            let body = Body::start(source, self.session.offset, length, progress.clone());
            *request.body_mut() = Some(reqwest::Body::wrap(body));
        }
        let client = inner.client(&host, &url, &settings)?;
        let silence = inner.settings.silence;
        let sent = transport::watched(&client, request, &host, silence, length, &progress).await;
        let failure = progress.failure.lock().ok().and_then(|mut failure| failure.take());
        if let Some(source) = failure {
            return Err(RegistryError::Source { digest: self.digest, source });
        }
        let response = sent?;
        if response.status() == StatusCode::UNAUTHORIZED && own {
            // The token may have come to its end; the next try has another one.
            let headers = response.headers();
            let origin = &self.session.origin;
            let known =
                inner.auth.challenged(&self.endpoint, headers, origin, proof.as_ref()).await?;
            if known.is_some() {
                let source = "the token was no longer good".into();
                return Err(RegistryError::Broken { host, source });
            }
        }
        let (used, secrets) = match proof {
            Some(proof) => (proof.used, proof.secrets),
            None => (super::error::Used::Nothing, Vec::new()),
        };
        let registry = self.endpoint.registry.clone();
        Ok(Answer { response, host, registry, used, secrets, silence })
    }

    fn what(&self) -> String {
        format!("{}@{}", self.endpoint.name(), self.digest)
    }
}

/// Reads where an upload goes on.
fn location(answer: &Answer, origin: &Url) -> Result<Option<Url>, RegistryError> {
    let Some(text) = answer.header(LOCATION.as_str()) else { return Ok(None) };
    let from = answer.response.url();
    // Registries behind a proxy that does TLS for them often don't know that it does.
    if let (Ok(mut url), "https") = (from.join(text), from.scheme())
        && url.scheme() == "http"
        && url.host_str() == origin.host_str()
        && url.set_scheme("https").is_ok()
    {
        let _ = url.set_port(origin.port());
        return redirected(from, url.as_str(), &answer.host).map(Some);
    }
    redirected(from, text, &answer.host).map(Some)
}
