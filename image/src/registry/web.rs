//! Requests to servers that are no registry, and are reached as registries are: by the same proxies,
//! with the same certificates, tries and limits. Object stores that hold build caches, say.
//!
//! What a status means is the caller's to say; here it only tells whether to ask again.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, StatusCode, Url};

use super::body::{Body, Progress};
use super::client::{Client, Inner};
use super::error::{RegistryError, Said, Used, retryable};
use super::hosts::HostSettings;
use super::range::ContentRange;
use super::retry::Tries;
use super::send::{Answer, authority, redirected};
use super::settings::Retry;
use super::transport;

/// A body that has more bytes counts as going on as long as some of them are taken.
const SMALL: usize = 64 << 10;
/// Of what a server says about an error, so much is read.
const SAID: usize = 64 << 10;
/// No chain of redirects is longer.
const HOPS: usize = 10;
/// After so many more bytes the count of tries starts anew.
const HEADWAY: u64 = 1 << 20;
/// How long a server is left alone that is busy and doesn't say for how long.
const BUSY: Duration = Duration::from_secs(15);

/// One request.
pub struct WebRequest {
    /// The method.
    pub method: Method,
    /// Where to. Whatever a server said before must have been looked at by [`lead`].
    pub url: Url,
    /// All headers that aren't made of the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl WebRequest {
    /// Makes one without headers and body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// What came back, whole.
pub struct WebAnswer {
    /// Who answered: host and port.
    pub host: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; of one that is no success only the beginning.
    pub body: Vec<u8>,
}

impl fmt::Debug for WebAnswer {
    /// Leaves out what may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebAnswer")
            .field("host", &self.host)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// How often something is tried, where the client's settings are not to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// How often, at most.
    pub tries: Option<u32>,
    /// For how long a server is asked again that says that there were too many requests (429).
    pub busy: Option<Duration>,
}

/// A request could not be made, or its answer not be read. No variant holds an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// No connection: no such host, nobody listens, a certificate that isn't trusted.
    #[error("Failed to connect to `{host}`")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A connection that was there broke.
    #[error("The connection to `{host}` broke")]
    Broken {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing was sent or received for too long.
    #[error("`{host}` said nothing for {} seconds", .silence.as_secs())]
    Silent {
        /// Host and port.
        host: String,
        /// For how long.
        silence: Duration,
    },
    /// The status of a download is no success.
    #[error("`{}` answered with status {}", .0.host, .0.status.as_u16())]
    Answer(Box<WebAnswer>),
    /// An answer that breaks the protocol, or that nobody honest gives.
    #[error("Refused what `{host}` answered: {reason}")]
    Refused {
        /// Host and port.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// The request can't be made of what is known.
    #[error("No request can be made: {0}")]
    Request(String),
    /// What the client needs could not be had.
    #[error(transparent)]
    Client(Box<RegistryError>),
}

impl From<RegistryError> for WebError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Connect { host, source } => Self::Connect { host, source },
            RegistryError::Broken { host, source } => Self::Broken { host, source },
            RegistryError::Silent { host, silence } => Self::Silent { host, silence },
            RegistryError::Refused { host, reason }
            | RegistryError::Corrupt { host, reason, .. } => Self::Refused { host, reason },
            other => Self::Client(Box::new(other)),
        }
    }
}

/// Reads an address that a server sent, `from` being its own: of the web, with TLS where that has it,
/// and not where clouds keep credentials.
///
/// # Errors
/// [`WebError::Refused`]. The address isn't shown.
pub fn lead(from: &Url, to: &str) -> Result<Url, WebError> {
    Ok(redirected(from, to, &authority(from))?)
}

/// When to try again.
struct Waits {
    tries: Tries,
    busy: Option<Duration>,
    began: Instant,
}

impl Waits {
    fn new(retry: &Retry, patience: Patience) -> Self {
        let tries = patience.tries.unwrap_or(retry.tries);
        let tries = Tries::new(&Retry { tries, ..retry.clone() });
        Self { tries, busy: patience.busy, began: Instant::now() }
    }

    fn next(&mut self, failure: &RegistryError) -> Option<Duration> {
        if let Some(delay) = self.tries.next(failure) {
            return Some(delay);
        }
        let RegistryError::Busy { status: 429, retry_after, .. } = failure else { return None };
        let delay = retry_after.unwrap_or(BUSY).max(Duration::from_secs(1));
        (self.began.elapsed() + delay <= self.busy?).then_some(delay)
    }
}

impl Client {
    /// Makes a request until there is an answer after which asking again doesn't help, or it was
    /// tried often enough: any status is an answer. `make` is asked before each try.
    ///
    /// # Errors
    /// There was no answer, or one whose body has more than `limit` bytes.
    pub async fn web(
        &self,
        limit: u64,
        patience: Patience,
        make: impl Fn() -> Result<WebRequest, WebError>,
    ) -> Result<WebAnswer, WebError> {
        let mut waits = Waits::new(&self.0.settings.retry, patience);
        loop {
            let delay = match self.0.whole(make()?, limit).await {
                Ok(answer) => match failure_of(&answer).and_then(|failure| waits.next(&failure)) {
                    Some(delay) => delay,
                    None => return Ok(answer),
                },
                Err(failure) => match waits.next(&failure) {
                    Some(delay) => delay,
                    None => return Err(failure.into()),
                },
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Begins to fetch `size` bytes. `make` is asked for the request that gets those from an offset
    /// on; one without `Authorization` is followed where it is sent on to.
    ///
    /// # Errors
    /// [`WebError::Answer`] for a status that is no success, and what keeps it from beginning.
    pub async fn web_download(
        &self,
        size: u64,
        patience: Patience,
        make: impl Fn(u64) -> Result<WebRequest, WebError> + Send + Sync + 'static,
    ) -> Result<WebDownload, WebError> {
        let waits = Waits::new(&self.0.settings.retry, patience);
        let (client, make) = (self.clone(), Arc::new(make));
        let mut download =
            WebDownload { client, make, size, count: 0, skip: 0, headway: 0, waits, answer: None };
        download.open().await?;
        Ok(download)
    }
}

/// Says what it means that a status asks to come again.
fn failure_of(answer: &WebAnswer) -> Option<RegistryError> {
    let (host, status) = (answer.host.clone(), answer.status.as_u16());
    if !retryable(status) {
        return None;
    }
    let said = Said::default();
    Some(match status {
        429 | 503 => {
            let retry_after = super::send::retry_after(&answer.headers);
            RegistryError::Busy { host, status, retry_after, said }
        }
        _ => RegistryError::Status { host, action: "answer".to_owned(), status, said },
    })
}

impl Inner {
    async fn whole(&self, request: WebRequest, limit: u64) -> Result<WebAnswer, RegistryError> {
        // There the length is that of another answer's body.
        let bodiless = request.method == Method::HEAD;
        let answer = self.send_once(request).await?;
        let limit = (answer.status().is_success() && !bodiless).then_some(limit);
        read(answer, limit).await
    }

    /// Sends it once, with no word about what comes back.
    async fn send_once(&self, request: WebRequest) -> Result<Answer, RegistryError> {
        let WebRequest { method, url, headers, body } = request;
        let (host, silence) = (authority(&url), self.settings.silence);
        let settings = self.settings.hosts.elsewhere(&host, &HostSettings::default())?;
        let client = self.client(&host, &url, &settings)?;
        let sends = matches!(method, Method::PUT | Method::POST | Method::PATCH);
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        let response = if body.len() > SMALL {
            let (length, progress) = (body.len() as u64, Arc::new(Progress::default()));
            let body = Body::start(Arc::new(body), 0, length, Arc::clone(&progress));
            *request.body_mut() = Some(reqwest::Body::wrap(body));
            transport::watched(&client, request, &host, silence, length, &progress).await?
        } else {
            if body.is_empty() && sends {
                request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            } else if !body.is_empty() {
                *request.body_mut() = Some(body.into());
            }
            transport::send(&client, request, &host, silence).await?
        };
        let (registry, used, secrets) = (host.clone(), Used::Nothing, Vec::new());
        Ok(Answer { response, host, registry, used, secrets, silence })
    }
}

/// Reads a whole answer; with no limit the beginning of one that tells of an error.
async fn read(mut answer: Answer, limit: Option<u64>) -> Result<WebAnswer, RegistryError> {
    let (host, status) = (answer.host.clone(), answer.status());
    let headers = answer.response.headers().clone();
    let body = match limit {
        Some(limit) => answer.bytes(limit, "the answer").await?,
        None => {
            let mut body = Vec::new();
            // An error that breaks off is an error all the same.
            while let Ok(Some(chunk)) = answer.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() > SAID {
                    break;
                }
            }
            body
        }
    };
    Ok(WebAnswer { host, status, headers, body })
}

/// Bytes on their way, whose number is known. They are not to be trusted.
pub struct WebDownload {
    client: Client,
    make: Arc<dyn Fn(u64) -> Result<WebRequest, WebError> + Send + Sync>,
    size: u64,
    count: u64,
    /// So many bytes of the answer are here already.
    skip: u64,
    /// How far it was when the count of tries began.
    headway: u64,
    waits: Waits,
    answer: Option<Answer>,
}

impl fmt::Debug for WebDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, count, .. } = self;
        f.debug_struct("WebDownload")
            .field("size", size)
            .field("count", count)
            .finish_non_exhaustive()
    }
}

impl WebDownload {
    /// Returns the next bytes; `None` at the end. A broken connection is made anew, and goes on where
    /// it was.
    ///
    /// # Errors
    /// As [`web_download`](Client::web_download), and [`WebError::Refused`] if there are other than
    /// the bytes that were promised.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, WebError> {
        loop {
            if self.count == self.size {
                return Ok(None);
            }
            let Some(answer) = &mut self.answer else {
                self.open().await?;
                continue;
            };
            let failure = match answer.chunk().await {
                Ok(Some(bytes)) => match self.take(bytes)? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                },
                Ok(None) => RegistryError::Broken {
                    host: answer.host.clone(),
                    source: format!("it ended after {} of {} bytes", self.count, self.size).into(),
                },
                Err(failure) => failure,
            };
            self.answer = None;
            self.pause(failure).await?;
        }
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, WebError> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        bytes::Buf::advance(&mut bytes, known);
        self.skip -= known as u64;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() as u64 > self.size - self.count {
            let host = self.answer.as_ref().map(|answer| answer.host.clone()).unwrap_or_default();
            let reason = format!("it has more than the {} bytes that were promised", self.size);
            return Err(WebError::Refused { host, reason });
        }
        self.count += bytes.len() as u64;
        if self.count - self.headway >= HEADWAY {
            self.headway = self.count;
            self.waits.tries.headway();
        }
        Ok(Some(bytes))
    }

    async fn pause(&mut self, failure: RegistryError) -> Result<(), WebError> {
        let Some(delay) = self.waits.next(&failure) else { return Err(failure.into()) };
        tokio::time::sleep(delay).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<(), WebError> {
        loop {
            let failure = match self.request().await {
                Ok(answer) if answer.status().is_success() => return self.begin(answer),
                Ok(answer) => {
                    let answer = read(answer, None).await?;
                    match failure_of(&answer).and_then(|failure| self.waits.next(&failure)) {
                        Some(delay) => tokio::time::sleep(delay).await,
                        None => return Err(WebError::Answer(Box::new(answer))),
                    }
                    continue;
                }
                Err(WebOr::Mine(error)) => return Err(error),
                Err(WebOr::Theirs(failure)) => failure,
            };
            self.pause(failure).await?;
        }
    }

    /// One try, to the end of its redirects.
    async fn request(&self) -> Result<Answer, WebOr> {
        let mut request = (self.make)(self.count)?;
        let secret = request.headers.contains_key(AUTHORIZATION);
        for _ in 0..=HOPS {
            let (url, headers) = (request.url.clone(), request.headers.clone());
            let answer = self.client.0.send_once(request).await.map_err(WebOr::Theirs)?;
            let goes_on = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = answer.header(LOCATION.as_str()).filter(|_| goes_on && !secret);
            let Some(location) = location else { return Ok(answer) };
            let url = lead(&url, location)?;
            request = WebRequest { headers, ..WebRequest::new(Method::GET, url) };
        }
        let reason = format!("it redirects more than {HOPS} times");
        Err(WebError::Refused { host: String::new(), reason }.into())
    }

    /// Looks whether an answer is the one that was asked for.
    fn begin(&mut self, answer: Answer) -> Result<(), WebError> {
        let refused = |reason: String| {
            let host = answer.host.clone();
            Err(WebError::Refused { host, reason })
        };
        let skip = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(CONTENT_RANGE.as_str()).and_then(ContentRange::parse);
                let fits = range.is_some_and(|range| {
                    range.start == self.count && range.total.is_none_or(|total| total == self.size)
                });
                if !fits {
                    return refused("another part came than was asked for".to_owned());
                }
                0
            }
            _ => {
                let length = answer.response.content_length();
                if let Some(length) = length.filter(|length| *length != self.size) {
                    let size = self.size;
                    return refused(format!("it has {length} bytes where {size} were promised"));
                }
                self.count
            }
        };
        (self.answer, self.skip) = (Some(answer), skip);
        Ok(())
    }
}

/// Whose fault it is: one of ours isn't tried again.
enum WebOr {
    Mine(WebError),
    Theirs(RegistryError),
}

impl From<WebError> for WebOr {
    fn from(error: WebError) -> Self {
        Self::Mine(error)
    }
}
