//! HTTP sources: one file behind an address, fetched when a build needs it, asked for anew cheaply.
//!
//! What was fetched is remembered by address together with its ETag and Last-Modified, so that a
//! server can say that it is still good (B6-20). The key of whoever uses it is the content, never
//! the address or the time. Link-local addresses, behind which clouds keep credentials, are refused.

mod client;
mod known;
mod time;

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_image::Hasher;
use gantry_solver::op::HttpOp;
use gantry_solver::{CancelToken, Events};
use gantry_tree::{ContentId, Entry, Manifest, Node, Root, Time, TreePath};
use reqwest::header::{ETAG, LAST_MODIFIED};
use reqwest::{Response, StatusCode, Url};

pub(super) use self::client::refuse_literal;
pub(crate) use self::client::without_password;
use self::client::{authorization, client, shown};
pub(super) use self::known::Known;
pub(super) use self::time::time;
use super::Executor;
use super::fault::Fault;

/// Fetches a file, unless what was fetched before is still good. Its digest is noted for whoever
/// wants to know where files came from.
pub(super) fn fetch(
    executor: &Executor,
    op: &HttpOp,
    events: &Events,
    cancel: &CancelToken,
) -> Result<Known, Fault> {
    let known = find(executor, op, events, cancel)?;
    executor.note_http(&op.url, &known.digest);
    Ok(known)
}

fn find(
    executor: &Executor,
    op: &HttpOp,
    events: &Events,
    cancel: &CancelToken,
) -> Result<Known, Fault> {
    let url = Url::parse(&op.url).map_err(|error| {
        Fault::refused_with(
            format!("invalid URL `{}`: {error}", op.url),
            "Write it like `https://host/path/file`",
        )
    })?;
    let known = Known::load(executor, op)?;
    if let (Some(known), Some(wanted)) = (&known, &op.checksum)
        && known.digest == *wanted
    {
        return Ok(known.clone());
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
) -> Result<Known, Fault> {
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
        return check(op, &known.digest).map(|()| known);
    }
    if !response.status().is_success() {
        let status = response.status();
        let hint = match status.as_u16() {
            401 | 403 => "Give credentials with `--secret id=HTTP_AUTH_TOKEN_HOST,src=FILE`",
            404 | 410 => "Check the address: the server has no such file",
            _ => "Try again later: the server does not give the file now",
        };
        return Err(Fault::refused_with(
            format!("invalid response status {status} for {shown}"),
            hint,
        ));
    }
    let fresh = store(executor, op, response, events, &shown).await?;
    fresh.save(executor, op)?;
    Ok(fresh)
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
        .ok_or_else(|| {
            Fault::refused_with(
                format!("`{}` is no file name", op.name),
                "Name the file in the destination: `ADD URL /path/file`",
            )
        })?;
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
    let digest = sha.finish().to_string();
    // Before it has a name in the store: what nobody wanted does not stay.
    check(op, &digest)?;
    let mtime = time_of(mtime);
    upper.set_mtime(&name, mtime)?;
    let content = ContentId(*blake.finalize().as_bytes());
    let entry =
        Entry { node: Node::File { size, content }, mode: 0o600, mtime, ..Entry::plain_dir(name) };
    let manifest = Manifest::new(vec![entry])?;
    let layer = executor.store.layers().commit_tree(&work.upper(), &manifest)?;
    Ok(Known { etag, modified, digest, content, layer })
}

fn check(op: &HttpOp, actual: &str) -> Result<(), Fault> {
    match &op.checksum {
        Some(wanted) if wanted != actual => Err(Fault::refused_with(
            format!("digest mismatch {actual}: {wanted}"),
            "If the file was meant to change, write the first of the two into `--checksum`",
        )),
        _ => Ok(()),
    }
}

fn time_of(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { secs: i64::try_from(since.as_secs()).unwrap_or_default(), nanos: since.subsec_nanos() }
}
