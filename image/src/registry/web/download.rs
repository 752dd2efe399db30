//! Bytes on their way, whose number is known: where a connection breaks they go on.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, LOCATION};
use reqwest::{Method, StatusCode};

use super::{Patience, Waits, WebError, WebRequest, failure_of, lead, read};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::range::ContentRange;
use crate::registry::send::Answer;

/// No chain of redirects is longer.
const HOPS: usize = 10;
/// After so many more bytes the count of tries starts anew.
const HEADWAY: u64 = 1 << 20;

impl Client {
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
