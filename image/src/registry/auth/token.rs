//! Token servers: a credential, or none, against a token for some scopes.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::{Scopes, basic};
use crate::registry::client::Inner;
use crate::registry::credentials::{Credential, Found, Secret};
use crate::registry::error::{RegistryError, Used};
use crate::registry::hosts::Endpoint;
use crate::registry::send::{Answer, Call};
use crate::registry::transport::refuse_link_local;

/// What OAuth calls the program.
const CLIENT_ID: &str = "gantry";
/// No token is larger.
const LIMIT: u64 = 1 << 20;
/// How long a token lasts whose server doesn't say; so the specification.
const LIFETIME: u64 = 60;

/// What is wanted from whom.
pub(super) struct Ask<'a> {
    pub(super) realm: &'a Url,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
}

pub(super) struct Given {
    pub(super) token: Secret,
    pub(super) refresh: Option<Secret>,
    pub(super) lifetime: Duration,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Takes the realm of a challenge, which is where credentials go.
///
/// A registry that is reached over TLS can't have them sent in the open.
pub(super) fn realm(text: &str, registry: &Url, host: &str) -> Result<Url, RegistryError> {
    let refused = |reason: &str| RegistryError::Refused {
        host: host.to_owned(),
        reason: format!("its token server {reason}"),
    };
    let url = registry.join(text).map_err(|_| refused("has no valid address"))?;
    if text.is_empty() || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("has no valid address"));
    }
    if url.scheme() == "http" && registry.scheme() == "https" {
        return Err(refused("is not reached over TLS, so credentials would be sent in the open"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("has a user in its address"));
    }
    refuse_link_local(&url, host)?;
    Ok(url)
}

/// Gets a token: with the refresh token, with user and password, or anonymously.
pub(super) async fn fetch(
    inner: &Inner,
    endpoint: &Endpoint,
    ask: &Ask<'_>,
    found: Option<&Found>,
) -> Result<Given, RegistryError> {
    let (call, used, secrets) = match found {
        Some(it @ Found { credential: Credential::Identity(token), .. }) => {
            (refresh(ask, token), Used::Credential(it.describe()), vec![token.clone()])
        }
        Some(it @ Found { credential: Credential::Password { username, password }, .. }) => {
            let proof = basic(username, password, it.describe())?;
            let mut call = get(ask, Some(username), inner.offline);
            call.headers.insert(AUTHORIZATION, proof.value);
            (call, proof.used, proof.secrets)
        }
        Some(Found { credential: Credential::Bearer(_), .. }) | None => {
            (get(ask, None, false), Used::Nothing, Vec::new())
        }
    };
    let answer = inner.ask_token_server(endpoint, &call).await?;
    let answer = Answer { used, secrets, ..answer };
    if !answer.status().is_success() {
        // OAuth says 400 where a registry says 401.
        let denied = matches!(answer.status().as_u16(), 400 | 401 | 403);
        return Err(answer.refuse(&endpoint.name(), "give a token for", denied).await);
    }
    let host = answer.host.clone();
    let body = answer.bytes(LIMIT, "the token").await?;
    let refused =
        |reason: &str| RegistryError::Refused { host: host.clone(), reason: reason.to_owned() };
    let response: Response =
        serde_json::from_slice(&body).map_err(|_| refused("that is no token"))?;
    let full = |text: Option<String>| text.filter(|text| !text.is_empty());
    let token = full(response.token).or(full(response.access_token));
    let token = token.ok_or_else(|| refused("there is no token in it"))?;
    let seconds = response.expires_in.unwrap_or(LIFETIME).min(24 * 3600);
    // It travels, and clocks differ.
    let lifetime = Duration::from_secs(seconds - (seconds / 4).min(10));
    let refresh = full(response.refresh_token).map(Secret::new);
    Ok(Given { token: Secret::new(token), refresh, lifetime })
}

fn get(ask: &Ask<'_>, account: Option<&str>, offline: bool) -> Call {
    let mut url = ask.realm.clone();
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(ask.service.map(|service| ("service", service)));
        query.extend_pairs(ask.scopes.texts().map(|scope| ("scope", scope)));
        query.extend_pairs(account.map(|account| ("account", account)));
        if offline {
            query.append_pair("offline_token", "true").append_pair("client_id", CLIENT_ID);
        }
    }
    Call::new(Method::GET, url)
}

fn refresh(ask: &Ask<'_>, token: &Secret) -> Call {
    // A form is written as a query is.
    let mut form = ask.realm.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("scope", &ask.scopes.texts().collect::<Vec<_>>().join(" "))
        .append_pair("refresh_token", token.reveal())
        .extend_pairs(ask.service.map(|service| ("service", service)));
    let body = form.query().unwrap_or_default().to_owned();
    let mut call = Call::new(Method::POST, ask.realm.clone());
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    call.headers = HeaderMap::from_iter([(CONTENT_TYPE, form_type)]);
    call.body = Some(Bytes::from(body));
    call
}
