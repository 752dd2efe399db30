//! Proving who one is: what each registry asked for, and the tokens it gave.
//!
//! ```text
//! challenge   WWW-Authenticate
//! scope       what a token allows
//! token       asking a token server
//! ```
//!
//! Everything is kept by the host that is talked to, never by the image's name: a token or password
//! goes to the host that it is for and to its token server, and to nobody else.

mod challenge;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use tokio::sync::Mutex as AsyncMutex;

pub(super) use self::scope::Scopes;
use super::client::Inner;
use super::credentials::{Credential, Found, Secret};
use super::error::{RegistryError, Used};
use super::hosts::Endpoint;

/// What each host wants to see and has given.
#[derive(Default)]
pub(super) struct Auth(Mutex<HashMap<String, Arc<AsyncMutex<Host>>>>);

#[derive(Default)]
struct Host {
    scheme: Option<Scheme>,
    /// By repository, since podman keeps credentials for parts of registries.
    found: HashMap<String, Option<Found>>,
    tokens: Vec<Token>,
    /// What a token server gave to be kept in place of the password.
    refresh: Option<Secret>,
}

#[derive(Clone)]
enum Scheme {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

struct Token {
    scopes: Scopes,
    secret: Secret,
    used: Used,
    expires: Instant,
}

/// What a request carries.
#[derive(Clone)]
pub(super) struct Proof {
    /// The value of `Authorization`.
    pub(super) value: HeaderValue,
    /// Whose it is.
    pub(super) used: Used,
    /// What must not be in a message.
    pub(super) secrets: Vec<Secret>,
}

impl Auth {
    fn host(&self, endpoint: &Endpoint) -> Arc<AsyncMutex<Host>> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.entry(endpoint.authority.clone()).or_default().clone()
    }

    /// Returns what to send along, as far as the host has said what it wants.
    ///
    /// Several requests at once fetch one token: the others wait for it.
    pub(super) async fn proof(
        &self,
        inner: &Inner,
        endpoint: &Endpoint,
        scopes: &Scopes,
    ) -> Result<Option<Proof>, RegistryError> {
        let host = self.host(endpoint);
        let mut host = host.lock().await;
        let Some(scheme) = host.scheme.clone() else { return Ok(None) };
        let found = host.credential(inner, endpoint).await?;
        if let Some(Found { credential: Credential::Bearer(token), .. }) = &found {
            return bearer(token, used(found.as_ref())).map(Some);
        }
        match scheme {
            Scheme::Basic => match &found {
                Some(
                    it @ Found { credential: Credential::Password { username, password }, .. },
                ) => basic(username, password, it.describe()).map(Some),
                _ => Ok(None),
            },
            Scheme::Bearer { realm, service } => {
                let now = Instant::now();
                host.tokens.retain(|token| token.expires > now);
                if let Some(token) = host.tokens.iter().find(|it| it.scopes.covers(scopes)) {
                    return bearer(&token.secret, token.used.clone()).map(Some);
                }
                let ask = token::Ask { realm: &realm, service: service.as_deref(), scopes };
                let given = token::fetch(inner, endpoint, &ask, found.as_ref()).await?;
                let proof = bearer(&given.token, used(found.as_ref()))?;
                host.refresh = given.refresh.or(host.refresh.take());
                host.tokens.push(Token {
                    scopes: scopes.clone(),
                    secret: given.token,
                    used: proof.used.clone(),
                    expires: now + given.lifetime,
                });
                Ok(Some(proof))
            }
        }
    }

    /// Takes in a 401. Returns for which further scopes to ask, or `None` if there is no point.
    pub(super) async fn challenged(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        url: &Url,
        rejected: Option<&Proof>,
    ) -> Result<Option<Scopes>, RegistryError> {
        let host = self.host(endpoint);
        let mut host = host.lock().await;
        if let Some(rejected) = rejected {
            // A token that was good once may have come to its end early; a password doesn't.
            let before = host.tokens.len();
            host.tokens.retain(|it| !rejected.secrets.contains(&it.secret));
            if host.tokens.len() == before {
                return Ok(None);
            }
        }
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges = values.filter_map(|value| value.to_str().ok()).flat_map(challenge::parse);
        let challenges: Vec<_> = challenges.take(16).collect();
        let of = |scheme: &str| challenges.iter().find(|it| it.scheme == scheme);
        if let Some(bearer) = of("bearer") {
            let parameter = |name: &str| bearer.parameters.get(name).map(String::as_str);
            let realm = parameter("realm").unwrap_or_default();
            let realm = token::realm(realm, url, &endpoint.authority)?;
            let service = parameter("service").map(str::to_owned);
            host.scheme = Some(Scheme::Bearer { realm, service });
            return Ok(Some(Scopes::parse(parameter("scope").unwrap_or_default())));
        }
        if of("basic").is_some() {
            host.scheme = Some(Scheme::Basic);
            return Ok(Some(Scopes::default()));
        }
        Ok(None)
    }

    /// Returns the refresh token that the host's token server gave, if it did.
    pub(super) async fn refresh_token(&self, endpoint: &Endpoint) -> Option<Secret> {
        self.host(endpoint).lock().await.refresh.clone()
    }
}

impl Host {
    async fn credential(
        &mut self,
        inner: &Inner,
        endpoint: &Endpoint,
    ) -> Result<Option<Found>, RegistryError> {
        if let Some(found) = self.found.get(&endpoint.repository) {
            return Ok(found.clone());
        }
        let credentials = inner.settings.credentials.clone();
        let (registry, repository) = (endpoint.registry.clone(), endpoint.repository.clone());
        let found = inner.blocking(move || credentials.find(&registry, &repository)).await?;
        let found = found.map_err(|source| RegistryError::Credentials {
            registry: endpoint.registry.clone(),
            source,
        })?;
        self.found.insert(endpoint.repository.clone(), found.clone());
        Ok(found)
    }
}

fn used(found: Option<&Found>) -> Used {
    found.map_or(Used::Nothing, |found| Used::Credential(found.describe()))
}

fn bearer(token: &Secret, used: Used) -> Result<Proof, RegistryError> {
    proof(format!("Bearer {}", token.reveal()), used, vec![token.clone()])
}

/// The proof of a user and password.
pub(super) fn basic(
    username: &str,
    password: &Secret,
    whose: String,
) -> Result<Proof, RegistryError> {
    let encoded = STANDARD.encode(format!("{username}:{}", password.reveal()));
    let secrets = vec![password.clone(), Secret::new(encoded.clone())];
    proof(format!("Basic {encoded}"), Used::Credential(whose), secrets)
}

fn proof(text: String, used: Used, secrets: Vec<Secret>) -> Result<Proof, RegistryError> {
    let mut value = HeaderValue::from_str(&text).map_err(|_| RegistryError::Settings {
        host: used.to_string(),
        reason: "the credential can't be sent in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(Proof { value, used, secrets })
}
