//! The client, and the handle to one repository: where everything begins.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    RANGE,
};
use reqwest::{Method, Url};
use tokio::sync::OnceCell;

use super::auth::{Auth, Scopes};
use super::credentials::{Credential, Fixed, Secret};
use super::error::RegistryError;
use super::hosts::{Endpoint, Scheme};
use super::retry::Tries;
use super::send::Call;
use super::settings::{Event, Settings};
use super::transport::{self, Transports};
use crate::digest::Digest;
use crate::reference::Reference;

/// Talks to registries. Cheap to clone; clones share connections and tokens.
///
/// Everything is async on tokio (with time and I/O enabled), and cancelled by dropping the future.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) transports: Transports,
    pub(super) auth: Auth,
    /// Does a login ask for a token to be kept?
    pub(super) offline: bool,
    /// Whether hosts that may do without TLS have it.
    schemes: Mutex<HashMap<String, bool>>,
    headers: OnceCell<HeaderMap>,
    /// Which host sent wrong bytes for which blob.
    liars: Mutex<HashSet<(String, Digest)>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.0.settings).finish()
    }
}

impl Client {
    /// Makes a client. Nothing is read, and no connection made, before the first request.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::make(settings, false)
    }

    fn make(settings: Settings, offline: bool) -> Self {
        Self(Arc::new(Inner {
            settings,
            transports: Transports::default(),
            auth: Auth::default(),
            offline,
            schemes: Mutex::default(),
            headers: OnceCell::new(),
            liars: Mutex::default(),
        }))
    }

    /// Returns the handle to an image's repository; its tag and digest don't matter.
    #[must_use]
    pub fn repository(&self, reference: &Reference) -> Repository {
        Repository {
            client: self.clone(),
            registry: reference.domain().to_owned(),
            path: reference.path().to_owned(),
        }
    }

    /// Asks a registry (`docker.io`, `localhost:5000`) whether it takes this client (`GET /v2/`).
    ///
    /// # Errors
    /// [`RegistryError::Denied`] without a good credential; [`RegistryError::NotFound`] if that is
    /// no registry.
    pub async fn ping(&self, registry: &str) -> Result<(), RegistryError> {
        let endpoint = self.0.itself(registry, "")?;
        let url = self.0.url(&endpoint, "").await?;
        let mut tries = Tries::new(&self.0.settings.retry);
        let answer = self.0.call(&endpoint, &Call::new(Method::GET, url), &mut tries).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(answer.refuse(registry, "let us into", false).await)
    }

    /// Tries a credential with a registry, and returns the one to keep: the identity token that the
    /// registry's token server gives in its place, or else the credential itself.
    ///
    /// # Errors
    /// [`RegistryError::Denied`] if it is not taken.
    pub async fn login(
        &self,
        registry: &str,
        credential: Credential,
    ) -> Result<Credential, RegistryError> {
        let fixed = Fixed { registry: registry.to_owned(), credential: credential.clone() };
        let settings = Settings { credentials: Arc::new(fixed), ..self.0.settings.clone() };
        let client = Self::make(settings, true);
        client.ping(registry).await?;
        let endpoint = client.0.itself(registry, "")?;
        let token = client.0.auth.refresh_token(&endpoint).await;
        Ok(token.map_or(credential, Credential::Identity))
    }
}

/// A repository of a registry, as `docker.io/library/ubuntu`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) client: Client,
    pub(super) registry: String,
    pub(super) path: String,
}

impl Repository {
    /// Returns the registry: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository's name within the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns both: `docker.io/library/ubuntu`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.client.0
    }

    /// The registry itself, for writing and for listing.
    pub(super) fn itself(&self) -> Result<Endpoint, RegistryError> {
        self.inner().itself(&self.registry, &self.path)
    }

    /// Whom to ask for something to be read, mirrors first, each with its tries.
    pub(super) fn readers(&self, by_digest: bool) -> Result<Vec<(Endpoint, Tries)>, RegistryError> {
        let retry = &self.inner().settings.retry;
        let endpoints = self.inner().settings.hosts.endpoints(&self.registry, &self.path)?;
        let able =
            endpoints.into_iter().filter(|it| it.stands_for.is_none() || it.serves(by_digest));
        let tries = |it: &Endpoint| {
            if it.stands_for.is_some() { Tries::few(retry) } else { Tries::new(retry) }
        };
        Ok(able
            .map(|endpoint| {
                let tries = tries(&endpoint);
                (endpoint, tries)
            })
            .collect())
    }
}

impl Inner {
    pub(super) fn itself(&self, registry: &str, path: &str) -> Result<Endpoint, RegistryError> {
        let endpoints = self.settings.hosts.endpoints(registry, path)?;
        // The registry comes last, always.
        endpoints.into_iter().next_back().ok_or(RegistryError::Interrupted)
    }

    /// Makes the address of something in the endpoint's repository, or of the API if that is empty.
    pub(super) async fn url(&self, endpoint: &Endpoint, rest: &str) -> Result<Url, RegistryError> {
        let scheme = if self.uses_tls(endpoint).await? { "https" } else { "http" };
        let slash = if endpoint.repository.is_empty() { "" } else { "/" };
        let (authority, repository) = (&endpoint.authority, &endpoint.repository);
        let text = format!("{scheme}://{authority}/v2/{repository}{slash}{rest}");
        let mut url = Url::parse(&text).map_err(|error| RegistryError::Settings {
            host: authority.clone(),
            reason: error.to_string(),
        })?;
        if let Some(registry) = &endpoint.stands_for {
            // Containerd's way of telling a mirror of several registries which one is meant.
            url.query_pairs_mut().append_pair("ns", registry);
        }
        Ok(url)
    }

    fn known_scheme(&self, authority: &str) -> Option<bool> {
        let known = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(authority).copied()
    }

    async fn uses_tls(&self, endpoint: &Endpoint) -> Result<bool, RegistryError> {
        match endpoint.scheme {
            Scheme::Https => return Ok(true),
            Scheme::Http => return Ok(false),
            Scheme::Either => {}
        }
        if let Some(known) = self.known_scheme(&endpoint.authority) {
            return Ok(known);
        }
        let host = &endpoint.authority;
        let url = Url::parse(&format!("https://{host}/v2/")).map_err(|error| {
            RegistryError::Settings { host: host.clone(), reason: error.to_string() }
        })?;
        let client = self.client(host, &url, &endpoint.settings)?;
        let request = reqwest::Request::new(Method::HEAD, url);
        let answer = transport::send(&client, request, host, self.settings.silence).await;
        let tls = match answer {
            Ok(_) => true,
            // Where nobody listens for TLS, plain http has a port of its own.
            Err(error) if transport::speaks_no_tls(&error) || transport::is_unreachable(&error) => {
                false
            }
            Err(error) => return Err(error),
        };
        let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        schemes.insert(host.clone(), tls);
        Ok(tls)
    }

    /// The headers that every registry gets; never those that the protocol needs.
    pub(super) async fn headers(&self) -> Result<HeaderMap, RegistryError> {
        let read = || async {
            let credentials = self.settings.credentials.clone();
            let headers = self.blocking(move || credentials.headers()).await?;
            let headers = headers.map_err(|source| RegistryError::Credentials {
                registry: "all registries".to_owned(),
                source,
            })?;
            Ok(header_map(&headers))
        };
        self.headers.get_or_try_init(read).await.cloned()
    }

    /// Does on a thread for that what may block.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RegistryError> {
        tokio::task::spawn_blocking(work).await.map_err(|_| RegistryError::Interrupted)
    }

    pub(super) fn retrying(&self, failure: &RegistryError, after: Duration) {
        let host = match failure {
            RegistryError::Connect { host, .. }
            | RegistryError::Broken { host, .. }
            | RegistryError::Silent { host, .. }
            | RegistryError::Busy { host, .. }
            | RegistryError::Status { host, .. } => host.clone(),
            _ => String::new(),
        };
        let reason = failure.to_string();
        self.settings.observer.event(Event::Retry { host, reason, after });
    }

    pub(super) fn mirror_failed(&self, mirror: &Endpoint, failure: &RegistryError) {
        let (mirror, reason) = (mirror.authority.clone(), failure.to_string());
        self.settings.observer.event(Event::MirrorFailed { mirror, reason });
    }

    /// Remembers that a host sent wrong bytes.
    pub(super) fn lied(&self, host: &str, digest: Digest) {
        let mut liars = self.liars.lock().unwrap_or_else(PoisonError::into_inner);
        liars.insert((host.to_owned(), digest));
    }

    pub(super) fn is_liar(&self, host: &str, digest: Digest) -> bool {
        let liars = self.liars.lock().unwrap_or_else(PoisonError::into_inner);
        liars.contains(&(host.to_owned(), digest))
    }
}

fn header_map(headers: &[(String, Secret)]) -> HeaderMap {
    let reserved = [ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RANGE];
    let pairs = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        let mut value = HeaderValue::from_str(value.reveal()).ok()?;
        value.set_sensitive(true);
        (!reserved.contains(&name)).then_some((name, value))
    });
    pairs.collect()
}

/// The scopes for reading a repository.
pub(super) fn reading(endpoint: &Endpoint) -> Scopes {
    Scopes::pull(&endpoint.repository)
}
