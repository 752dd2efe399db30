//! HTTP sources: one file behind an address, fetched when a build needs it, asked for anew cheaply.
//!
//! What was fetched is remembered by address together with its ETag and Last-Modified, so that a
//! server can say that it is still good (B6-20). The key of whoever uses it is the content, never
//! the address or the time. Link-local addresses, behind which clouds keep credentials, are refused.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_cache::{Key, LayerId, NewRecord, RecordKind};
use gantry_image::{Digest, Hasher};
use gantry_solver::op::HttpOp;
use gantry_solver::{CancelToken, Events, SourceAnswer};
use gantry_tree::{ContentId, Entry, Follow, Manifest, Node, Root, Time, TreePath};
use reqwest::header::{
    AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::Executor;
use super::fault::Fault;
use super::stack::layer_ref;

/// A server that says nothing for this long has gone away.
const SILENCE: Duration = Duration::from_secs(60);

/// Fetches a file, unless what was fetched before is still good.
pub(super) fn fetch(
    executor: &Executor,
    op: &HttpOp,
    events: &Events,
    cancel: &CancelToken,
) -> Result<SourceAnswer, Fault> {
    let url = Url::parse(&op.url)
        .map_err(|error| Fault::refused(format!("invalid URL `{}`: {error}", op.url)))?;
    let known = Known::load(executor, op)?;
    if let (Some(known), Some(wanted)) = (&known, &op.checksum)
        && known.digest == *wanted
    {
        return Ok(known.answer());
    }
    // This thread is one of the solver's for blocking work, so it may wait here.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::io("start a download"))?;
    runtime.block_on(async {
        tokio::select! {
            () = cancel.canceled() => Err(Fault::Canceled),
            answer = download(executor, op, url, known, events) => answer,
        }
    })
}

async fn download(
    executor: &Executor,
    op: &HttpOp,
    url: Url,
    known: Option<Known>,
    events: &Events,
) -> Result<SourceAnswer, Fault> {
    let shown = shown(&url);
    let failed = |source: reqwest::Error| Fault::Download {
        url: shown.clone(),
        // The address may hold a password, and it is in the message already.
        source: Box::new(source.without_url()),
    };
    refuse_literal(&url)?;
    let client = client().map_err(failed)?;
    let mut request = client.get(url.clone()).headers(authorization(executor, &url)?);
    if let Some(known) = &known {
        request = request.headers(known.conditions());
    }
    let response = request.send().await.map_err(failed)?;
    if response.status() == StatusCode::NOT_MODIFIED
        && let Some(known) = known
    {
        return check(op, &known.digest).map(|()| known.answer());
    }
    if !response.status().is_success() {
        let status = response.status();
        return Err(Fault::refused(format!("invalid response status {status} for {shown}")));
    }
    let fresh = store(executor, op, response, events, &shown).await?;
    check(op, &fresh.digest)?;
    fresh.save(executor, op)?;
    Ok(fresh.answer())
}

/// Writes the body into a layer of its own: mode 0600, the server's time (B6-19).
async fn store(
    executor: &Executor,
    op: &HttpOp,
    mut response: Response,
    events: &Events,
    shown: &str,
) -> Result<Known, Fault> {
    let name = TreePath::new(&op.name)
        .ok()
        .filter(|name| name.components().count() == 1)
        .ok_or_else(|| Fault::refused(format!("`{}` is no file name", op.name)))?;
    let header = |name| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (etag, modified) = (header(ETAG), header(LAST_MODIFIED));
    let mtime = httpdate::parse_http_date(&modified).unwrap_or(UNIX_EPOCH);
    let total = response.content_length();
    let work = executor.store.work_dir()?;
    let upper = Root::open(work.upper())?;
    let mut file = upper.create_file(&name, 0o600)?;
    let (mut sha, mut blake, mut size) = (Hasher::new(), blake3::Hasher::new(), 0);
    let interrupted = |source: reqwest::Error| Fault::Download {
        url: shown.to_owned(),
        source: Box::new(source.without_url()),
    };
    while let Some(chunk) = response.chunk().await.map_err(interrupted)? {
        file.write_all(&chunk).map_err(Fault::io(format!("write what {shown} sent")))?;
        sha.update(&chunk);
        blake.update(&chunk);
        size += chunk.len() as u64;
        events.status(shown, size, total);
    }
    drop(file);
    let mtime = time_of(mtime);
    upper.set_mtime(&name, mtime)?;
    debug_assert_eq!(upper.stat(&name, Follow::Parents)?.size, size);
    let content = ContentId(*blake.finalize().as_bytes());
    let entry =
        Entry { node: Node::File { size, content }, mode: 0o600, mtime, ..Entry::plain_dir(name) };
    let manifest = Manifest::new(vec![entry])?;
    let layer = executor.store.layers().commit_tree(&work.upper(), &manifest)?;
    Ok(Known { etag, modified, digest: sha.finish().to_string(), content, layer })
}

fn check(op: &HttpOp, actual: &str) -> Result<(), Fault> {
    match &op.checksum {
        Some(wanted) if wanted != actual => {
            Err(Fault::refused(format!("digest mismatch {actual}: {wanted}")))
        }
        _ => Ok(()),
    }
}

fn time_of(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { secs: i64::try_from(since.as_secs()).unwrap_or_default(), nanos: since.subsec_nanos() }
}

/// What is known of an address from an earlier build.
struct Known {
    etag: String,
    modified: String,
    /// The sha256 of the bytes.
    digest: String,
    content: ContentId,
    layer: LayerId,
}

impl Known {
    fn key(op: &HttpOp) -> Key {
        let mut hasher = blake3::Hasher::new_derive_key("gantry http 1");
        for part in [&op.url, &op.name] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Key(*hasher.finalize().as_bytes())
    }

    fn load(executor: &Executor, op: &HttpOp) -> Result<Option<Self>, Fault> {
        let Some(record) = executor.store.records().get(&Self::key(op))? else { return Ok(None) };
        let Ok(text) = String::from_utf8(record.extra) else { return Ok(None) };
        let lines: Vec<&str> = text.split('\n').collect();
        let (&[etag, modified, digest, content], &[layer]) =
            (lines.as_slice(), record.layers.as_slice())
        else {
            return Ok(None);
        };
        let Ok(content) = content.parse() else { return Ok(None) };
        if digest.parse::<Digest>().is_err() || !executor.keep(&layer)? {
            return Ok(None);
        }
        let [etag, modified, digest] = [etag, modified, digest].map(str::to_owned);
        Ok(Some(Self { etag, modified, digest, content, layer }))
    }

    fn save(&self, executor: &Executor, op: &HttpOp) -> Result<(), Fault> {
        let extra = format!("{}\n{}\n{}\n{}", self.etag, self.modified, self.digest, self.content);
        Ok(executor.store.records().put(&NewRecord {
            key: Self::key(op),
            kind: RecordKind::Other,
            layers: &[self.layer],
            preimage: &[],
            took: Duration::ZERO,
            log: None,
            extra: extra.as_bytes(),
            stage: "",
            position: 0,
            text: "",
        })?)
    }

    fn conditions(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.modified)] {
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        headers
    }

    fn answer(&self) -> SourceAnswer {
        SourceAnswer { digest: self.content.0, own: vec![layer_ref(&self.layer)] }
    }
}

/// Secrets `HTTP_AUTH_HEADER_<host>` and `HTTP_AUTH_TOKEN_<host>` (B6-24); sent to no other host.
fn authorization(executor: &Executor, url: &Url) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    let Some(host) = url.host_str() else { return Ok(headers) };
    for (id, prefix) in
        [(format!("HTTP_AUTH_HEADER_{host}"), ""), (format!("HTTP_AUTH_TOKEN_{host}"), "Bearer ")]
    {
        let Some(secret) = executor.secrets.get(&id) else { continue };
        let value = secret.fetch().map_err(Fault::io(format!("read the secret `{id}`")))?;
        let value = [prefix.as_bytes(), value.trim_ascii()].concat();
        let mut value = HeaderValue::from_bytes(&value)
            .map_err(|_| Fault::refused(format!("The secret `{id}` is no header value")))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        break;
    }
    Ok(headers)
}

/// Makes a client; 4 to 6 ms, so only when something is fetched.
fn client() -> Result<Client, reqwest::Error> {
    // Another room may have done so before: the first one counts, and they are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        .read_timeout(SILENCE)
        .connect_timeout(SILENCE)
        .dns_resolver(std::sync::Arc::new(Guarded))
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
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

fn refuse_literal(url: &Url) -> Result<(), Fault> {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) if is_link_local(address) => {
            Err(Fault::refused(format!("Refused to connect to the link-local address {address}")))
        }
        _ => Ok(()),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
        }
    }
}

/// Resolves names, but not to link-local addresses.
struct Guarded;

impl reqwest::dns::Resolve for Guarded {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| !is_link_local(address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("`{}` has no address to connect to", name.as_str()).into());
            }
            let allowed: reqwest::dns::Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
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
