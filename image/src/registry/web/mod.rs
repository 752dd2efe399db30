//! Requests to servers that are no registry, and are reached as registries are: by the same proxies,
//! with the same certificates, tries and limits. Object stores that hold build caches, say.
//!
//! What a status means is the caller's to say; here it only tells whether to ask again.

mod download;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};

pub use self::download::WebDownload;
use super::body::{Body, Progress};
use super::client::{Client, Inner};
use super::error::{RegistryError, Said, Used, retryable};
use super::hosts::HostSettings;
use super::retry::Tries;
use super::send::{Answer, authority, redirected};
use super::settings::Retry;
use super::transport;

/// A body that has more bytes counts as going on as long as some of them are taken.
const SMALL: usize = 64 << 10;
/// Of what a server says about an error, so much is read.
const SAID: usize = 64 << 10;
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
