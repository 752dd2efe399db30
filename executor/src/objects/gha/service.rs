//! The service's API: looking an entry up, taking a key, filling its entry.
//!
//! As tonistiigi/go-actions-cache speaks it, which BuildKit uses; that of the second version is Twirp's,
//! in JSON.

use bytes::Bytes;
use gantry_cache::remote::RemoteError;
use gantry_image::Digest;
use gantry_image::registry::{WebAnswer, WebError, WebRequest, lead};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{GhaPlace, GhaVersion, azure};
use crate::objects::ANSWER;
use crate::objects::pieces::Pieces;
use crate::objects::reach::Reach;
use crate::objects::said::{Refusal, failed};

/// What all entries of go-actions-cache are made by; other programs' entries have other versions.
const MADE_BY: &str = "|go-actionscache-1.0";

/// An entry that is there.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its whole key.
    pub(super) key: String,
    /// Where its bytes are: a signed address.
    pub(super) url: Url,
}

/// An entry to be filled.
#[derive(Debug)]
pub(super) enum Slot {
    /// By its number.
    V1(u64),
    /// At a signed address.
    V2(Url),
}

/// The service, as one job sees it.
#[derive(Debug)]
pub(super) struct Service {
    place: GhaPlace,
    reach: Reach,
}

impl Service {
    pub(super) fn new(place: GhaPlace, reach: Reach) -> Self {
        Self { place, reach }
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Says that an answer is no success. An address is a secret where it is signed.
    pub(super) fn refused(&self, answer: &WebAnswer) -> Refusal {
        Refusal::new(answer, &[self.place.token.reveal()])
    }

    /// Looks an entry up: the newest one whose key begins with this.
    pub(super) fn find(&self, what: &str, key: &str) -> Result<Option<Entry>, RemoteError> {
        let answer = match self.place.version {
            GhaVersion::V1 => {
                let path = format!("cache?keys={}&version={}", query(key), version());
                self.v1(what, Method::GET, &path, None)?
            }
            GhaVersion::V2 => {
                let body = json!({"key": key, "restore_keys": [key], "version": version()});
                self.v2(what, "GetCacheEntryDownloadURL", &body)?
            }
        };
        if answer.status.as_u16() == 404 || answer.status.as_u16() == 204 {
            return Ok(None);
        }
        if answer.status.is_success() && answer.body.is_empty() {
            return Ok(None);
        }
        let (found, at) = match self.place.version {
            GhaVersion::V1 => {
                #[derive(Deserialize)]
                struct Found {
                    #[serde(rename = "cacheKey", default)]
                    key: String,
                    #[serde(rename = "archiveLocation", default)]
                    location: String,
                }
                let found: Found = self.read(what, &answer)?;
                (found.key, found.location)
            }
            GhaVersion::V2 => {
                #[derive(Deserialize)]
                struct Found {
                    #[serde(default)]
                    ok: bool,
                    #[serde(default)]
                    signed_download_url: String,
                    #[serde(default)]
                    matched_key: String,
                }
                let found: Found = self.read(what, &answer)?;
                if !found.ok {
                    return Ok(None);
                }
                (found.matched_key, found.signed_download_url)
            }
        };
        if found.is_empty() || !found.starts_with(key) {
            return Ok(None);
        }
        Ok(Some(Entry { key: found, url: self.lead(what, &at)? }))
    }

    /// Takes a key; `None` if somebody else has.
    pub(super) fn reserve(&self, what: &str, key: &str) -> Result<Option<Slot>, RemoteError> {
        let body = json!({"key": key, "version": version()});
        let answer = match self.place.version {
            GhaVersion::V1 => self.v1(what, Method::POST, "caches", Some(&body))?,
            GhaVersion::V2 => self.v2(what, "CreateCacheEntry", &body)?,
        };
        if !answer.status.is_success() {
            let refusal = self.refused(&answer);
            return match refusal.status == 409 || refusal.is_already_there() {
                true => Ok(None),
                false => Err(refusal.during(what)),
            };
        }
        match self.place.version {
            GhaVersion::V1 => {
                #[derive(Deserialize)]
                struct Reserved {
                    #[serde(rename = "cacheId", alias = "cacheID", default)]
                    id: u64,
                }
                let reserved: Reserved = self.read(what, &answer)?;
                match reserved.id {
                    0 => Err(self.nonsense(what, &answer)),
                    id => Ok(Some(Slot::V1(id))),
                }
            }
            GhaVersion::V2 => {
                #[derive(Deserialize)]
                struct Reserved {
                    #[serde(default)]
                    ok: bool,
                    #[serde(default)]
                    signed_upload_url: String,
                }
                let reserved: Reserved = self.read(what, &answer)?;
                match reserved.ok {
                    // The newer service says so of a key that is taken.
                    false => Ok(None),
                    true => Ok(Some(Slot::V2(self.lead(what, &reserved.signed_upload_url)?))),
                }
            }
        }
    }

    /// Fills an entry and makes it one that is found.
    pub(super) fn fill(
        &self,
        what: &str,
        key: &str,
        slot: &Slot,
        pieces: &mut Pieces<'_>,
    ) -> Result<(), RemoteError> {
        let answer = match slot {
            Slot::V1(id) => {
                let path = format!("caches/{id}");
                loop {
                    let start = pieces.offset;
                    let Some(body) = pieces.next()? else { break };
                    if body.is_empty() {
                        break;
                    }
                    let range = format!("bytes {start}-{}/*", pieces.offset - 1);
                    self.patch(what, &path, &range, &body)?;
                }
                let body = json!({"size": pieces.offset});
                self.v1(what, Method::POST, &path, Some(&body))?
            }
            Slot::V2(url) => {
                azure::upload(self, what, url, pieces)?;
                let size = pieces.offset;
                let body = json!({"key": key, "size_bytes": size, "version": version()});
                self.v2(what, "FinalizeCacheEntryUpload", &body)?
            }
        };
        if !answer.status.is_success() {
            return Err(self.refused(&answer).during(what));
        }
        if self.place.version == GhaVersion::V2 {
            let done: Value = self.read(what, &answer)?;
            if done["ok"] != true {
                return Err(self.nonsense(what, &answer));
            }
        }
        Ok(())
    }

    fn patch(&self, what: &str, path: &str, range: &str, body: &Bytes) -> Result<(), RemoteError> {
        let answer = self.reach.ask(ANSWER, || {
            let mut request =
                self.request(Method::PATCH, &format!("_apis/artifactcache/{path}"))?;
            let octets = HeaderValue::from_static("application/octet-stream");
            request.headers.insert(CONTENT_TYPE, octets);
            request.headers.insert(ACCEPT, V1_ACCEPT);
            request.headers.extend(HeaderValue::from_str(range).map(|it| (CONTENT_RANGE, it)));
            request.body = body.clone();
            Ok(request)
        });
        let answer = answer.map_err(failed(what))?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(self.refused(&answer).during(what)),
        }
    }

    fn v1(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<WebAnswer, RemoteError> {
        let asked = self.reach.ask(ANSWER, || {
            let path = format!("_apis/artifactcache/{path}");
            let mut request = self.request(method.clone(), &path)?;
            request.headers.insert(ACCEPT, V1_ACCEPT);
            if let Some(body) = body {
                request.headers.insert(CONTENT_TYPE, JSON);
                request.body = body.to_string().into();
            }
            Ok(request)
        });
        self.checked(what, method == Method::GET, asked.map_err(failed(what))?)
    }

    fn v2(&self, what: &str, call: &str, body: &Value) -> Result<WebAnswer, RemoteError> {
        let path = format!("twirp/github.actions.results.api.v1.CacheService/{call}");
        let asked = self.reach.ask(ANSWER, || {
            let mut request = self.request(Method::POST, &path)?;
            request.headers.insert(CONTENT_TYPE, JSON);
            request.body = body.to_string().into();
            Ok(request)
        });
        let get = call == "GetCacheEntryDownloadURL";
        self.checked(what, get, asked.map_err(failed(what))?)
    }

    /// Lets answers to a question pass that are a success, or that say that nothing is there; and
    /// all of those to what changes something.
    fn checked(
        &self,
        what: &str,
        question: bool,
        answer: WebAnswer,
    ) -> Result<WebAnswer, RemoteError> {
        match question && !answer.status.is_success() && answer.status.as_u16() != 404 {
            true => Err(self.refused(&answer).during(what)),
            false => Ok(answer),
        }
    }

    /// A request to the service itself, with the token.
    fn request(&self, method: Method, path: &str) -> Result<WebRequest, WebError> {
        let invalid = || WebError::Request("the url of the cache service is no address".to_owned());
        let text = format!("{}/{path}", self.place.url.trim_end_matches('/'));
        let url: Url = text.parse().map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid());
        }
        let mut request = WebRequest::new(method, url);
        let proof = HeaderValue::from_str(&format!("Bearer {}", self.place.token.reveal()));
        let invalid = |_| WebError::Request("the token can't be sent".to_owned());
        let mut proof = proof.map_err(invalid)?;
        proof.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, proof);
        Ok(request)
    }

    /// Reads an address that the service sent.
    fn lead(&self, what: &str, to: &str) -> Result<Url, RemoteError> {
        let from = self.request(Method::GET, "").map(|request| request.url);
        from.and_then(|from| lead(&from, to)).map_err(|error| failed(what)(error.into()))
    }

    fn read<T: DeserializeOwned>(&self, what: &str, answer: &WebAnswer) -> Result<T, RemoteError> {
        serde_json::from_slice(&answer.body).map_err(|_| self.nonsense(what, answer))
    }

    fn nonsense(&self, what: &str, answer: &WebAnswer) -> RemoteError {
        let source = format!("`{}` gave an answer that makes no sense", answer.host).into();
        RemoteError::Transport { what: what.to_owned(), source }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const V1_ACCEPT: HeaderValue =
    HeaderValue::from_static("application/json;api-version=6.0-preview.1");

fn version() -> String {
    Digest::of(MADE_BY.as_bytes()).hex()
}

/// Encodes a value of a query.
fn query(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encode = |byte: u8| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_go_actions_cache() {
        let made_by = "693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2";
        assert_eq!(version(), made_by);
        assert_eq!(query("index-a/b-1-00#"), "index-a%2Fb-1-00%23");
    }
}
