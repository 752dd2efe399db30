//! One request from beginning to end: proof, redirects, tries.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};

use super::auth::{Proof, Scopes};
use super::client::Inner;
use super::credentials::Secret;
use super::error::{RegistryError, Said, Used, retryable};
use super::hosts::{Endpoint, HostSettings};
use super::retry::Tries;
use super::transport;

/// No chain of redirects is longer.
const HOPS: usize = 10;
/// Of what a registry says about an error, so much is read.
const SAID: u64 = 64 << 10;

/// A request that can be sent again.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scopes: Scopes,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, scopes: Scopes::default(), headers: HeaderMap::new(), body: None }
    }

    pub(super) fn scoped(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }
}

/// What came back, and what must be known to speak of it.
pub(super) struct Answer {
    pub(super) response: Response,
    /// Who answered.
    pub(super) host: String,
    /// Whom to log in to.
    pub(super) registry: String,
    pub(super) used: Used,
    pub(super) secrets: Vec<Secret>,
    pub(super) silence: Duration,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the next bytes of the body, or `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let silence = self.silence;
        let chunk = tokio::time::timeout(silence, self.response.chunk()).await;
        let chunk =
            chunk.map_err(|_| RegistryError::Silent { host: self.host.clone(), silence })?;
        chunk.map_err(|error| transport::failed(&self.host, silence, error))
    }

    /// Reads the whole body, which must not be larger than `limit`.
    pub(super) async fn bytes(mut self, limit: u64, what: &str) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        let refused = |host: &str| RegistryError::Refused {
            host: host.to_owned(),
            reason: format!("{what} has more than {limit} bytes"),
        };
        if self.response.content_length().is_some_and(|length| length > limit) {
            return Err(refused(&self.host));
        }
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(refused(&self.host));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Makes an error of an answer that is no success. `what` is what was asked for, `action` what
    /// was to be done with it; `denied` if any status means a lack of rights.
    pub(super) async fn refuse(mut self, what: &str, action: &str, denied: bool) -> RegistryError {
        let (host, status) = (self.host.clone(), self.status());
        let retry_after = self.retry_after();
        let mut body = Vec::new();
        // An error that breaks off is an error all the same.
        while let Ok(Some(chunk)) = self.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > SAID {
                break;
            }
        }
        let secrets: Vec<&str> = self.secrets.iter().map(Secret::reveal).collect();
        let said = Said::parse(&body, &secrets);
        let what = what.to_owned();
        match status.as_u16() {
            401 | 403 => self.denied(what, said),
            _ if denied => self.denied(what, said),
            404 => RegistryError::NotFound { what, said },
            429 | 503 => RegistryError::Busy { host, status: status.as_u16(), retry_after, said },
            status => {
                RegistryError::Status { host, action: format!("{action} `{what}`"), status, said }
            }
        }
    }

    fn denied(self, repository: String, said: Said) -> RegistryError {
        RegistryError::Denied { repository, registry: self.registry, credential: self.used, said }
    }

    fn retry_after(&self) -> Option<Duration> {
        retry_after(self.response.headers())
    }
}

/// Reads `Retry-After`: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(std::time::SystemTime::now()).unwrap_or_default())
}

impl Inner {
    /// Sends a request as often as needed. Returns any answer but those after which asking again may
    /// help: they are errors once the tries are used up.
    pub(super) async fn call(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        tries: &mut Tries,
    ) -> Result<Answer, RegistryError> {
        loop {
            let failure = match self.once(endpoint, call).await {
                Ok(answer) if !retryable(answer.status().as_u16()) => return Ok(answer),
                Ok(answer) => answer.refuse(&endpoint.name(), "answer for", false).await,
                Err(error) => error,
            };
            self.pause(tries, failure).await?;
        }
    }

    /// Waits before the next try, or returns the failure if there is none.
    pub(super) async fn pause(
        &self,
        tries: &mut Tries,
        failure: RegistryError,
    ) -> Result<(), RegistryError> {
        let Some(delay) = tries.next(&failure) else { return Err(failure) };
        self.retrying(&failure, delay);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Asks a token server, which may be at another host than the registry: with the proof that the
    /// call itself holds, and only there.
    pub(super) async fn ask_token_server(
        &self,
        endpoint: &Endpoint,
        call: &Call,
    ) -> Result<Answer, RegistryError> {
        let mut tries = Tries::new(&self.settings.retry);
        loop {
            let failure = match self.follow(endpoint, call, None, true).await {
                Ok(answer) if !retryable(answer.status().as_u16()) => return Ok(answer),
                Ok(answer) => answer.refuse(&endpoint.name(), "give a token for", false).await,
                Err(error) => error,
            };
            self.pause(&mut tries, failure).await?;
        }
    }

    /// Asks whoever keeps a foreign layer, to whom nothing secret goes.
    pub(super) async fn fetch_foreign(&self, call: &Call) -> Result<Answer, RegistryError> {
        let endpoint = self.itself(&authority(&call.url), "")?;
        self.follow(&endpoint, call, None, true).await
    }

    /// One try, with as many rounds as it takes to prove who one is.
    pub(super) async fn once(
        &self,
        endpoint: &Endpoint,
        call: &Call,
    ) -> Result<Answer, RegistryError> {
        let mut scopes = call.scopes.clone();
        let mut proof = self.auth.proof(self, endpoint, &scopes).await?;
        // Ours is out of date; the server names another token server; then it is enough.
        for _ in 0..3 {
            let answer = self.follow(endpoint, call, proof.as_ref(), false).await?;
            if answer.status() != StatusCode::UNAUTHORIZED
                || !same_origin(answer.response.url(), &call.url)
            {
                return Ok(answer);
            }
            let headers = answer.response.headers();
            let challenged =
                self.auth.challenged(endpoint, headers, &call.url, proof.as_ref()).await?;
            let Some(further) = challenged else { return Ok(answer) };
            scopes = scopes.join(&further);
            let Some(next) = self.auth.proof(self, endpoint, &scopes).await? else {
                return Ok(answer);
            };
            proof = Some(next);
        }
        self.follow(endpoint, call, proof.as_ref(), false).await
    }

    /// Sends it and goes where it is sent on to. What is secret goes to the first host only, and a
    /// chain that has left it gets none when it comes back either.
    async fn follow(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        proof: Option<&Proof>,
        elsewhere: bool,
    ) -> Result<Answer, RegistryError> {
        let mut url = call.url.clone();
        let mut trusted = true;
        for _ in 0..=HOPS {
            let host = authority(&url);
            let settings = if !elsewhere && same_origin(&url, &call.url) {
                endpoint.settings.clone()
            } else {
                self.settings.hosts.elsewhere(&host, &endpoint.settings)?
            };
            let client = self.client(&host, &url, &settings)?;
            let mut request = reqwest::Request::new(call.method.clone(), url.clone());
            *request.headers_mut() = call.headers.clone();
            if trusted {
                if let Some(proof) = proof {
                    request.headers_mut().insert(AUTHORIZATION, proof.value.clone());
                }
                if !elsewhere {
                    request.headers_mut().extend(self.headers().await?);
                }
            } else {
                request.headers_mut().remove(AUTHORIZATION);
            }
            *request.body_mut() = call.body.clone().map(Into::into);
            let response = transport::send(&client, request, &host, self.settings.silence).await?;
            let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let goes_on = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
                && matches!(call.method, Method::GET | Method::HEAD);
            let (true, Some(location)) = (goes_on, location) else {
                return Ok(Answer {
                    response,
                    host,
                    registry: endpoint.registry.clone(),
                    used: proof.map_or(Used::Nothing, |proof| proof.used.clone()),
                    secrets: proof.map(|proof| proof.secrets.clone()).unwrap_or_default(),
                    silence: self.settings.silence,
                });
            };
            let next = redirected(&url, location, &host)?;
            trusted &= same_origin(&next, &url);
            url = next;
        }
        let reason = format!("it redirects more than {HOPS} times");
        Err(RegistryError::Refused { host: endpoint.authority.clone(), reason })
    }

    /// Returns the client for an address.
    pub(super) fn client(
        &self,
        host: &str,
        url: &Url,
        settings: &HostSettings,
    ) -> Result<reqwest::Client, RegistryError> {
        let tls = (url.scheme() == "https").then_some(settings);
        self.transports.client(&self.settings, host, tls)
    }
}

/// Reads a redirect's or an upload's address.
pub(super) fn redirected(from: &Url, to: &str, host: &str) -> Result<Url, RegistryError> {
    let refused = |reason: &str| RegistryError::Refused {
        host: host.to_owned(),
        reason: format!("it redirects to {reason}"),
    };
    let mut url = from.join(to).map_err(|_| refused("no valid address"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("no address of the web"));
    }
    if from.scheme() == "https" && url.scheme() == "http" {
        return Err(refused("an address without TLS"));
    }
    // A user in it would become a header.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    transport::refuse_link_local(&url, host)?;
    Ok(url)
}

/// Do both addresses lead to the same server, in the same way?
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Host and port as in an address; the port only if it isn't the usual one.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
