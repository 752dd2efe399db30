//! The bucket as a cache.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gantry_cache::remote::{Found, RemoteCache, RemoteError};
use gantry_image::registry::{Patience, WebAnswer, WebError, WebRequest};
use gantry_image::{Descriptor, Digest, MediaType};
use gantry_solver::CancelToken;
use reqwest::Method;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, LAST_MODIFIED, RANGE};

use super::{S3Keys, S3Place, address, sign};
use crate::objects::pieces::Pieces;
use crate::objects::reach::Reach;
use crate::objects::said::{Refusal, element, failed};
use crate::objects::{ANSWER, DOCUMENT};
use crate::registry::{Registry, TransferError};

/// What is larger can't be copied by one request.
const COPIED: u64 = 5 << 30;

/// A cache in a bucket.
#[derive(Debug)]
pub(crate) struct S3Cache {
    place: S3Place,
    reach: Reach,
}

/// What is asked of a bucket.
struct Ask<'a> {
    method: Method,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Ask<'a> {
    fn new(method: Method, key: &'a str) -> Self {
        Self { method, key, query: &[], headers: HeaderMap::new(), body: Bytes::new() }
    }
}

impl S3Cache {
    /// Takes the cache at a place. Nothing is asked yet.
    pub(crate) fn new(registry: Arc<Registry>, place: S3Place, cancel: CancelToken) -> Self {
        let patience = Patience { tries: place.tries, ..Patience::default() };
        Self { place, reach: Reach::new(registry, cancel, patience) }
    }

    fn blob(&self, digest: &Digest) -> String {
        format!("{}{digest}", self.place.blobs)
    }

    fn keys(&self, what: &str) -> Result<&S3Keys, RemoteError> {
        self.place.keys.as_ref().map_err(|why| RemoteError::Transport {
            what: what.to_owned(),
            source: why.as_str().into(),
        })
    }

    fn refused(&self, answer: &WebAnswer, what: &str) -> RemoteError {
        let keys = self.place.keys.as_ref().ok();
        let session = keys.and_then(|keys| keys.session.as_ref());
        let secrets: Vec<&str> = keys
            .into_iter()
            .flat_map(|keys| [keys.id.as_str(), keys.secret.reveal()])
            .chain(session.map(|token| token.reveal()))
            .collect();
        Refusal::new(answer, &secrets).during(what)
    }

    /// Asks, and returns the answer of any status.
    fn ask(&self, what: &str, limit: u64, ask: &Ask<'_>) -> Result<WebAnswer, RemoteError> {
        let keys = self.keys(what)?;
        let make = || {
            let url =
                address::object(&self.place, ask.key, ask.query).map_err(WebError::Request)?;
            let mut request = WebRequest::new(ask.method.clone(), url);
            (request.headers, request.body) = (ask.headers.clone(), ask.body.clone());
            sign::sign(request, keys, &self.place.region, now())
        };
        self.reach.ask(limit, make).map_err(failed(what))
    }

    /// The same, but an answer that is no success is an error.
    fn demand(&self, what: &str, ask: &Ask<'_>) -> Result<WebAnswer, RemoteError> {
        let answer = self.ask(what, ANSWER, ask)?;
        // Where something takes long the status is sent before it is known to be right.
        let lied = answer.body.windows(7).any(|bytes| bytes == b"<Error>");
        match answer.status.is_success() && !lied {
            true => Ok(answer),
            false => Err(self.refused(&answer, what)),
        }
    }

    /// When an object was written; `None` if there is none.
    fn written(&self, digest: &Digest) -> Result<Option<SystemTime>, RemoteError> {
        let what = format!("look for `{digest}` in {}", self.place());
        let answer = self.ask(&what, 0, &Ask::new(Method::HEAD, &self.blob(digest)))?;
        match answer.status.as_u16() {
            404 => Ok(None),
            _ if answer.status.is_success() => {
                let time = answer.headers.get(LAST_MODIFIED).and_then(|it| it.to_str().ok());
                let time = time.and_then(|text| httpdate::parse_http_date(text).ok());
                Ok(Some(time.unwrap_or_else(SystemTime::now)))
            }
            _ => Err(self.refused(&answer, &what)),
        }
    }

    /// Makes an object new, on the server.
    fn touch(&self, digest: &Digest) -> Result<(), RemoteError> {
        let what = format!("renew `{digest}` in {}", self.place());
        let key = self.blob(digest);
        let source = format!("{}/{}", self.place.bucket, address::encode(&key, true));
        let time = format!("{}", now());
        let headers = [
            ("x-amz-copy-source", source.as_str()),
            ("x-amz-metadata-directive", "REPLACE"),
            ("x-amz-meta-updated-at", time.as_str()),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| {
            Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))
        });
        let ask = Ask { headers: headers.collect(), ..Ask::new(Method::PUT, &key) };
        self.demand(&what, &ask).map(drop)
    }

    fn write_pieces(
        &self,
        what: &str,
        key: &str,
        pieces: &mut Pieces<'_>,
    ) -> Result<(), RemoteError> {
        let begin = Ask { query: &[("uploads", "")], ..Ask::new(Method::POST, key) };
        let answer = self.demand(what, &begin)?;
        let id = element(&String::from_utf8_lossy(&answer.body), "UploadId");
        let unknown = || RemoteError::Transport {
            what: what.to_owned(),
            source: format!("`{}` doesn't say how to go on", answer.host).into(),
        };
        let id = id.filter(|id| !id.is_empty()).ok_or_else(unknown)?;
        let sent = self.send_pieces(what, key, &id, pieces);
        if sent.is_err() {
            // What was sent costs money until somebody says that it is not wanted.
            let end = Ask { query: &[("uploadId", &id)], ..Ask::new(Method::DELETE, key) };
            let _ = self.ask(what, ANSWER, &end);
        }
        sent
    }

    fn send_pieces(
        &self,
        what: &str,
        key: &str,
        id: &str,
        pieces: &mut Pieces<'_>,
    ) -> Result<(), RemoteError> {
        let mut parts = String::new();
        let mut number = 0_u32;
        while let Some(body) = pieces.next()? {
            number += 1;
            let text = number.to_string();
            let query = [("partNumber", text.as_str()), ("uploadId", id)];
            let put = Ask { query: &query, body, ..Ask::new(Method::PUT, key) };
            let answer = self.demand(what, &put)?;
            let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
            let tag = tag.unwrap_or_default().replace('&', "&amp;").replace('<', "&lt;");
            parts.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            ));
        }
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}\
             </CompleteMultipartUpload>"
        );
        let query = [("uploadId", id)];
        let end = Ask { query: &query, body: body.into(), ..Ask::new(Method::POST, key) };
        self.demand(what, &end).map(drop)
    }
}

impl RemoteCache for S3Cache {
    fn place(&self) -> String {
        self.place.title()
    }

    fn is_near(&self) -> bool {
        false
    }

    fn found(&self) -> Result<Vec<Found>, RemoteError> {
        let Some(name) = self.place.names.first() else { return Ok(Vec::new()) };
        let what = format!("read {}", self.place());
        let key = format!("{}{name}", self.place.manifests);
        let answer = self.ask(&what, DOCUMENT, &Ask::new(Method::GET, &key))?;
        if answer.status.is_success() {
            return Ok(vec![Found::Document(answer.body)]);
        }
        let text = String::from_utf8_lossy(&answer.body);
        match element(&text, "Code").as_deref() {
            Some("NoSuchKey") | None if answer.status.as_u16() == 404 => Ok(Vec::new()),
            _ => Err(self.refused(&answer, &what)),
        }
    }

    fn read(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, RemoteError> {
        let what = format!("fetch `{}` from {}", blob.digest, self.place());
        let keys = self.keys(&what)?.clone();
        let (place, key) = (self.place.clone(), self.blob(&blob.digest));
        let make = move |offset: u64| {
            let url = address::object(&place, &key, &[]).map_err(WebError::Request)?;
            let mut request = WebRequest::new(Method::GET, url);
            if offset > 0
                && let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-"))
            {
                request.headers.insert(RANGE, range);
            }
            sign::sign(request, &keys, &place.region, now())
        };
        self.reach.fetch(blob.size, make).map_err(|error| match error {
            TransferError::Web(error) => match *error {
                WebError::Answer(answer) if answer.status.as_u16() == 404 => {
                    RemoteError::BlobMissing { digest: blob.digest, place: self.place() }
                }
                WebError::Answer(answer) => self.refused(&answer, &what),
                error => failed(&what)(error.into()),
            },
            error => failed(&what)(error),
        })
    }

    fn missing(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError> {
        let mut missing = Vec::new();
        for blob in blobs {
            if self.written(&blob.digest)?.is_none() {
                missing.push(blob.digest);
            }
        }
        Ok(missing)
    }

    fn keep(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError> {
        let mut missing = Vec::new();
        for blob in blobs {
            match self.written(&blob.digest)? {
                None => missing.push(blob.digest),
                Some(time) => {
                    let age = time.elapsed().unwrap_or(Duration::ZERO);
                    if age > self.place.touch_refresh && blob.size < COPIED {
                        self.touch(&blob.digest)?;
                    }
                }
            }
        }
        Ok(missing)
    }

    fn writers(&self) -> usize {
        self.place.parallelism
    }

    fn write(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<(), RemoteError> {
        let what = format!("write `{}` into {}", blob.digest, self.place());
        let key = self.blob(&blob.digest);
        let mut pieces = Pieces::new(from, blob, self.place());
        if !pieces.is_one() {
            return self.write_pieces(&what, &key, &mut pieces);
        }
        let body = pieces.next()?.unwrap_or_default();
        self.demand(&what, &Ask { body, ..Ask::new(Method::PUT, &key) }).map(drop)
    }

    fn commit(&self, document: &[u8], _: &MediaType) -> Result<(), RemoteError> {
        let what = format!("write {}", self.place());
        let body = Bytes::copy_from_slice(document);
        for name in &self.place.names {
            let key = format!("{}{name}", self.place.manifests);
            self.demand(&what, &Ask { body: body.clone(), ..Ask::new(Method::PUT, &key) })?;
        }
        Ok(())
    }
}

impl S3Place {
    /// What it is called in messages.
    pub fn title(&self) -> String {
        let name = self.names.first().map_or("", String::as_str);
        format!("s3:{}/{}{name}", self.bucket, self.manifests)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
