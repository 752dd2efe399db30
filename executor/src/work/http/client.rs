//! The client: where it connects to, what it says about itself, and to whom it shows secrets.

use std::sync::Arc;
use std::time::Duration;

use gantry_image::registry::{Guarded, link_local};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url, redirect};

use super::super::Executor;
use super::super::fault::Fault;

/// A server that says nothing for this long has gone away.
const SILENCE: Duration = Duration::from_secs(60);

/// Secrets `HTTP_AUTH_HEADER_<host>` and `HTTP_AUTH_TOKEN_<host>` (B6-24); sent to no other host.
pub(super) fn authorization(executor: &Executor, url: &Url) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    let Some(host) = url.host_str() else { return Ok(headers) };
    for (id, prefix) in
        [(format!("HTTP_AUTH_HEADER_{host}"), ""), (format!("HTTP_AUTH_TOKEN_{host}"), "Bearer ")]
    {
        let Some(secret) = executor.secrets.get(&id) else { continue };
        let value = secret.fetch().map_err(Fault::io(format!("read the secret `{id}`")))?;
        let value = [prefix.as_bytes(), value.trim_ascii()].concat();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| {
            Fault::refused_with(
                format!("The secret `{id}` is no header value"),
                "Give it without line ends, as it stands behind `Authorization:`",
            )
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        break;
    }
    Ok(headers)
}

/// Makes a client; 4 to 6 ms, so only when something is fetched.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    // Another room may have done so before: the first one counts, and they are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        .read_timeout(SILENCE)
        .connect_timeout(SILENCE)
        .dns_resolver(Arc::new(Guarded))
        .redirect(redirect::Policy::custom(|attempt| {
            if attempt.previous().len() > 10 {
                return attempt.error("too many redirects");
            }
            match refuse_literal(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(fault) => attempt.error(fault.to_string()),
            }
        }))
        .build()
}

/// An address without its password.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

/// The same for what is an address only maybe.
pub(crate) fn without_password(text: &str) -> String {
    Url::parse(text).ok().filter(Url::has_host).map_or_else(|| text.to_owned(), |url| shown(&url))
}

/// Refuses addresses behind which clouds keep credentials.
pub(in super::super) fn refuse_literal(url: &Url) -> Result<(), Fault> {
    match link_local(url) {
        Some(address) => Err(Fault::refused_with(
            format!("Refused to connect to the link-local address {address}"),
            "Serve it from another address: clouds keep credentials behind these",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_metadata_addresses_are_refused_in_every_spelling() {
        for bad in [
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://2852039166/",
        ] {
            assert!(refuse_literal(&Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
        assert!(refuse_literal(&Url::parse("http://127.0.0.1/").unwrap()).is_ok());
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = Url::parse("https://me:secret@example.com/a").unwrap();
        assert_eq!(shown(&url), "https://example.com/a");
    }
}
