//! Connections: which proxy, which certificates, plain or TLS, and when one counts as dead.

use std::error::Error;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Proxy, Request, Response, Url, redirect};

use super::body::Progress;
use super::direct::Direct;
use super::error::RegistryError;
use super::guard::{self, Guarded};
use super::hosts::{HostSettings, Security};
use super::settings::Settings;

/// Whoever has all of a blob hashes it, and that of a large one takes time.
const PATIENCE: u32 = 10;

/// The clients made so far: one for plain http, one for each way of doing TLS.
#[derive(Default)]
pub(super) struct Transports(Mutex<Vec<(Option<HostSettings>, Client)>>);

impl Transports {
    /// Returns the client for a host; makes it if it is the first of its kind, which with TLS takes
    /// 4 to 6 ms, since the system's certificates are read.
    pub(super) fn client(
        &self,
        settings: &Settings,
        host: &str,
        tls: Option<&HostSettings>,
    ) -> Result<Client, RegistryError> {
        // Only what TLS depends on tells clients apart.
        let kind = tls.map(|tls| HostSettings {
            mirrors: Vec::new(),
            security: match tls.security {
                Security::Verified | Security::Plain => Security::Verified,
                Security::Unverified | Security::Any => Security::Unverified,
            },
            ..tls.clone()
        });
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == kind) {
            return Ok(client.clone());
        }
        let client = build(settings, kind.as_ref())
            .map_err(|reason| RegistryError::Settings { host: host.to_owned(), reason })?;
        clients.push((kind, client.clone()));
        Ok(client)
    }
}

fn build(settings: &Settings, tls: Option<&HostSettings>) -> Result<Client, String> {
    // Another room may have done so before: the first one counts, and they are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.silence)
        .dns_resolver(Arc::new(Guarded))
        // Redirects are followed where it is known who may see what.
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        // Parallel blobs get connections of their own, so that one doesn't wait for another.
        .http1_only()
        .no_proxy();
    let proxies = [("http", &settings.proxies.http), ("https", &settings.proxies.https)];
    let direct = Arc::new(Direct::parse(settings.proxies.none.as_deref().unwrap_or_default()));
    for (scheme, address) in proxies {
        let Some(address) = address.clone() else { continue };
        // The address may hold a password, so the error isn't shown.
        Proxy::all(&address).map_err(|_| "the proxy's address is not valid")?;
        let direct = Arc::clone(&direct);
        builder = builder.proxy(Proxy::custom(move |url| {
            (url.scheme() == scheme && !direct.holds(url)).then(|| address.clone())
        }));
    }
    let said = |what: &str| what.to_owned();
    match tls {
        // No certificates need to be read, and none need to be there.
        None => builder = builder.tls_certs_only([]),
        Some(tls) => {
            for pem in &tls.authorities {
                let certificates = Certificate::from_pem_bundle(pem);
                let certificates = certificates.map_err(|_| "its CA certificate is no PEM")?;
                if certificates.is_empty() {
                    return Err(said("its CA certificate is no PEM"));
                }
                builder = builder.tls_certs_merge(certificates);
            }
            if let Some(client) = &tls.client {
                let pem =
                    [&client.certificate, &b"\n"[..], client.key.reveal().as_bytes()].concat();
                let identity = Identity::from_pem(&pem);
                builder =
                    builder.identity(identity.map_err(|_| "its client certificate is no PEM")?);
            }
            if tls.security == Security::Unverified {
                builder = builder.tls_danger_accept_invalid_certs(true);
            }
        }
    }
    builder.build().map_err(|error| {
        error.source().map_or_else(|| said("no TLS client can be made"), ToString::to_string)
    })
}

/// Sends a request without a streamed body; the answer must begin within `silence`.
pub(super) async fn send(
    client: &Client,
    request: Request,
    host: &str,
    silence: Duration,
) -> Result<Response, RegistryError> {
    let sent = tokio::time::timeout(silence, client.execute(request)).await;
    let sent = sent.map_err(|_| RegistryError::Silent { host: host.to_owned(), silence })?;
    sent.map_err(|error| failed(host, silence, error))
}

/// Sends a request with a streamed body of `length` bytes, and waits for the answer as long as bytes
/// are taken.
pub(super) async fn watched(
    client: &Client,
    request: Request,
    host: &str,
    silence: Duration,
    length: u64,
    progress: &Progress,
) -> Result<Response, RegistryError> {
    let mut answer = std::pin::pin!(client.execute(request));
    let mut before = None;
    loop {
        let sent = progress.sent.load(Ordering::Relaxed);
        if before == Some(sent) && sent < length {
            return Err(RegistryError::Silent { host: host.to_owned(), silence });
        }
        before = Some(sent);
        let patience = if sent < length { silence } else { silence * PATIENCE };
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answer) => return answer.map_err(|it| failed(host, silence, it)),
            Err(_) if sent >= length => {
                return Err(RegistryError::Silent { host: host.to_owned(), silence: patience });
            }
            Err(_) => {}
        }
    }
}

/// Says what went wrong with a connection. Addresses are left out: they may be signed.
pub(super) fn failed(host: &str, silence: Duration, error: reqwest::Error) -> RegistryError {
    let host = host.to_owned();
    let (connect, timeout) = (error.is_connect(), error.is_timeout());
    let source = Box::new(error.without_url());
    match (connect, timeout) {
        (true, _) => RegistryError::Connect { host, source },
        (false, true) => RegistryError::Silent { host, silence },
        (false, false) => RegistryError::Broken { host, source },
    }
}

/// Is it that TLS was tried and the other side doesn't speak it?
pub(super) fn speaks_no_tls(error: &RegistryError) -> bool {
    causes(error).iter().any(|cause| {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return matches!(error, rustls::Error::InvalidMessage(_));
        }
        // Servers that close the connection on what they don't understand.
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset))
    })
}

/// Is it that there was no connection, and nothing of a certificate?
pub(super) fn is_unreachable(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Connect { .. }) && !is_about_trust(error)
}

/// Is it something that the next try won't change: a certificate that isn't trusted?
pub(super) fn is_about_trust(error: &RegistryError) -> bool {
    causes(error)
        .iter()
        .filter_map(|cause| cause.downcast_ref::<rustls::Error>())
        .any(|error| !matches!(error, rustls::Error::InvalidMessage(_) | rustls::Error::General(_)))
}

/// Lists all causes. Those within an `io::Error` are no `source` of it: it stands for them.
fn causes(error: &RegistryError) -> Vec<&(dyn Error + 'static)> {
    let mut found = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        found.push(cause);
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source());
    }
    found
}

/// Refuses addresses behind which clouds keep credentials; for where others send us.
pub(super) fn refuse_link_local(url: &Url, by: &str) -> Result<(), RegistryError> {
    match guard::link_local(url) {
        Some(_) => Err(RegistryError::Refused {
            host: by.to_owned(),
            reason: "it leads to a link-local address".to_owned(),
        }),
        None => Ok(()),
    }
}
