//! Bytes on their way, whose number is known: where a connection breaks they go on.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, LOCATION};

use super::{Patience, Waits, WebError, WebRequest, failure_of, lead, read};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::incoming::{Came, Incoming, Unfit};
use crate::registry::send::Answer;

/// No chain of redirects is longer.
const HOPS: usize = 10;

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
        let mut download = WebDownload { client, make, incoming: Incoming::new(size, 0), waits };
        download.open().await?;
        Ok(download)
    }
}

/// Bytes on their way, whose number is known. They are not to be trusted.
pub struct WebDownload {
    client: Client,
    make: Arc<dyn Fn(u64) -> Result<WebRequest, WebError> + Send + Sync>,
    incoming: Incoming,
    waits: Waits,
}

impl fmt::Debug for WebDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebDownload")
            .field("size", &self.incoming.size())
            .field("count", &self.incoming.count())
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
            match self.incoming.next().await {
                Came::All => return Ok(None),
                Came::Bytes(bytes) => {
                    if self.incoming.has_headway() {
                        self.waits.tries.headway();
                    }
                    return Ok(Some(bytes));
                }
                Came::Unasked => self.open().await?,
                Came::Broken(failure) => self.pause(failure).await?,
                Came::Unfit(unfit) => {
                    let host = self.incoming.host().unwrap_or_default().to_owned();
                    return Err(refused(host, &unfit));
                }
            }
        }
    }

    async fn pause(&mut self, failure: RegistryError) -> Result<(), WebError> {
        let Some(delay) = self.waits.next(&failure) else { return Err(failure.into()) };
        tokio::time::sleep(delay).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<(), WebError> {
        loop {
            let failure = match self.request().await {
                Ok(answer) if answer.status().is_success() => {
                    let host = answer.host.clone();
                    return self.incoming.begin(answer).map_err(|unfit| refused(host, &unfit));
                }
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
        let mut request = (self.make)(self.incoming.count())?;
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
}

fn refused(host: String, unfit: &Unfit) -> WebError {
    WebError::Refused { host, reason: unfit.to_string() }
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
