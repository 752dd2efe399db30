//! The service as a cache.

use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gantry_cache::remote::{Found, RemoteCache, RemoteError};
use gantry_image::registry::{Patience, WebError, WebRequest};
use gantry_image::{Descriptor, Digest, MediaType};
use gantry_solver::CancelToken;
use reqwest::Method;
use reqwest::header::{HeaderValue, RANGE};

use super::GhaPlace;
use super::service::{Entry, Service};
use super::token::{self, Scope};
use crate::objects::DOCUMENT;
use crate::objects::pieces::Pieces;
use crate::objects::reach::Reach;
use crate::objects::said::failed;
use crate::registry::{Registry, TransferError};

/// How long whoever else has taken a key is given to fill its entry.
const FORCE: Duration = Duration::from_secs(15);
/// How often it is looked meanwhile.
const TICK: Duration = Duration::from_secs(2);
/// So many keys are not left behind by jobs that were killed.
const MOST: u32 = 100;
/// So many layers are written at once.
const WRITERS: usize = 4;

/// A cache in the service.
#[derive(Debug)]
pub(crate) struct GhaCache {
    place: GhaPlace,
    service: Service,
    scopes: OnceLock<Vec<Scope>>,
}

impl GhaCache {
    /// Takes the cache at a place. Nothing is asked yet.
    pub(crate) fn new(registry: Arc<Registry>, place: GhaPlace, cancel: CancelToken) -> Self {
        let patience = Patience { busy: Some(place.timeout), ..Patience::default() };
        let service = Service::new(place.clone(), Reach::new(registry, cancel, patience));
        Self { place, service, scopes: OnceLock::new() }
    }

    fn scopes(&self) -> Result<&[Scope], RemoteError> {
        if let Some(scopes) = self.scopes.get() {
            return Ok(scopes);
        }
        let scopes = token::scopes(self.place.token.reveal()).map_err(|why| {
            RemoteError::Transport { what: format!("use {}", self.place()), source: why.into() }
        })?;
        Ok(self.scopes.get_or_init(|| scopes))
    }

    fn index_key(&self, scope: &str) -> String {
        let digest = Digest::of(scope.as_bytes()).hex();
        format!("index-{}-1-{}", self.place.scope, &digest[..8])
    }

    fn entry(&self, what: &str, digest: &Digest) -> Result<Option<Entry>, RemoteError> {
        let key = blob_key(digest);
        let entry = self.service.find(what, &key)?;
        // Others' keys may begin with it.
        Ok(entry.filter(|entry| entry.key == key))
    }
}

fn blob_key(digest: &Digest) -> String {
    format!("buildkit-blob-1-{digest}")
}

impl RemoteCache for GhaCache {
    fn place(&self) -> String {
        self.place.title()
    }

    fn is_near(&self) -> bool {
        false
    }

    fn found(&self) -> Result<Vec<Found>, RemoteError> {
        let what = format!("read {}", self.place());
        let mut found = Vec::new();
        for scope in self.scopes()? {
            let Some(entry) = self.service.find(&what, &self.index_key(&scope.name))? else {
                continue;
            };
            let make = || Ok(WebRequest::new(Method::GET, entry.url.clone()));
            let answer = self.service.reach().ask(DOCUMENT, make).map_err(failed(&what))?;
            if !answer.status.is_success() {
                return Err(self.service.refused(&answer).during(&what));
            }
            found.push(Found::Document(answer.body));
        }
        Ok(found)
    }

    fn read(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, RemoteError> {
        let what = format!("fetch `{}` from {}", blob.digest, self.place());
        let missing = || RemoteError::BlobMissing { digest: blob.digest, place: self.place() };
        let entry = self.entry(&what, &blob.digest)?.ok_or_else(missing)?;
        let make = move |offset: u64| {
            let mut request = WebRequest::new(Method::GET, entry.url.clone());
            if offset > 0
                && let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-"))
            {
                request.headers.insert(RANGE, range);
            }
            Ok(request)
        };
        self.service.reach().fetch(blob.size, make).map_err(|error| match error {
            TransferError::Web(error) => match *error {
                WebError::Answer(answer) if answer.status.as_u16() == 404 => missing(),
                WebError::Answer(answer) => self.service.refused(&answer).during(&what),
                error => failed(&what)(error.into()),
            },
            error => failed(&what)(error),
        })
    }

    fn missing(&self, blobs: &[Descriptor]) -> Result<Vec<Digest>, RemoteError> {
        let what = format!("look into {}", self.place());
        let mut missing = Vec::new();
        for blob in blobs {
            if self.entry(&what, &blob.digest)?.is_none() {
                missing.push(blob.digest);
            }
        }
        Ok(missing)
    }

    fn writers(&self) -> usize {
        WRITERS
    }

    fn write(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<(), RemoteError> {
        let what = format!("write `{}` into {}", blob.digest, self.place());
        let key = blob_key(&blob.digest);
        // Somebody else writes the same, or has.
        let Some(slot) = self.service.reserve(&what, &key)? else { return Ok(()) };
        self.service.fill(&what, &key, &slot, &mut Pieces::new(from, blob, self.place()))
    }

    /// Writes the document under the key after the newest one. Of two that write at once both come to
    /// be, one after the other.
    fn commit(&self, document: &[u8], media_type: &MediaType) -> Result<(), RemoteError> {
        let what = format!("write {}", self.place());
        let size = document.len() as u64;
        let blob = Descriptor::new(media_type.clone(), Digest::of(document), size);
        let key = format!("{}#", self.index_key(token::written(self.scopes()?)));
        let mut waited = Duration::ZERO;
        let mut number = None;
        for _ in 0..MOST {
            let next = match number {
                Some(number) => number,
                None => match self.service.find(&what, &key)? {
                    None => 1,
                    Some(entry) => {
                        let number = entry
                            .key
                            .strip_prefix(&key)
                            .and_then(|text| text.parse::<u64>().ok()?.checked_add(1));
                        number.ok_or_else(|| RemoteError::Invalid {
                            place: self.place(),
                            why: "the key of its document has no number".to_owned(),
                        })?
                    }
                },
            };
            let name = format!("{key}{next}");
            if let Some(slot) = self.service.reserve(&what, &name)? {
                let mut from = document;
                let mut pieces = Pieces::new(&mut from, &blob, self.place());
                return self.service.fill(&what, &name, &slot, &mut pieces);
            }
            if waited < FORCE {
                waited += TICK;
                self.service.reach().pause(TICK).map_err(failed(&what))?;
            } else {
                // Whoever took the key was killed, it seems.
                number = Some(next.saturating_add(1));
            }
        }
        let why = "others write it all the time".to_owned();
        Err(RemoteError::Invalid { place: self.place(), why })
    }
}

impl GhaPlace {
    /// What it is called in messages.
    pub fn title(&self) -> String {
        format!("gha:{}", self.scope)
    }
}
