//! The remote form: layers that nobody has fetched yet, and how they come once somebody needs them.
//!
//! A layer may be known from several images; the place that was named last is asked first.

use std::fmt;
use std::io::{self, Read};

use gantry_image::{Descriptor, DiffId, Digest};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{BlobForm, Layer, Layers};
use crate::error::is_full;
use crate::lease::line_of_layer;
use crate::lock::{self, Hold, LockGuard};
use crate::store::Inner;
use crate::{LayerId, StoreError};

/// More places than this are not remembered of a layer.
const PLACES: usize = 4;

/// A layer as a blob that lies in a registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteForm {
    /// An image that has it there, by its full name: `docker.io/library/debian:13`.
    pub image: String,
    /// The blob.
    pub blob: Descriptor,
}

/// Why a blob could not be had.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// Reaches registries, on behalf of a store's handle.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Begins to fetch a blob. Its bytes need not be verified; a failure on the way is a failure of
    /// reading.
    ///
    /// # Errors
    /// When it can't be had.
    fn open(&self, form: &RemoteForm) -> Result<Box<dyn Read + Send>, FetchError>;
}

impl Layers<'_> {
    /// Makes a layer of an image known by the place where it can be fetched; one that is known
    /// already gets a further place. Nothing is fetched before somebody needs it.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn add_remote(&self, diff_id: &DiffId, form: &RemoteForm) -> Result<LayerId, StoreError> {
        let id = LayerId::from_diff_id(diff_id);
        self.inner.lease_own(line_of_layer(&id))?;
        self.inner.db.write(|tx| {
            let mut forms = places(tx, &id)?;
            let repository = |form: &RemoteForm| repository(&form.image).to_owned();
            forms.retain(|other| repository(other) != repository(form));
            forms.insert(0, form.clone());
            forms.truncate(PLACES);
            tx.prepare_cached(
                "insert into layers (id, imported, usage, measured, created, used, unsynced, remote) \
                 values (?1, 1, 0, 1, ?2, ?2, ?3, ?4) \
                 on conflict do update set remote = ?4, used = ?2, dying = 0",
            )?
            .execute((id, self.inner.now(), Inner::epoch(tx)?, encode(&forms)))?;
            super::insert::insert_diff(tx, &id, None, &(*diff_id, None))
        })?;
        Ok(id)
    }

    /// Like [`require`](Self::require), and fetches the layer's blob if none of its bytes are here.
    ///
    /// # Errors
    /// [`StoreError::Fetch`] if it can't be fetched any more, [`StoreError::NotFetched`] if this
    /// handle can't reach registries.
    pub fn require_local(&self, id: &LayerId) -> Result<Layer, StoreError> {
        let layer = self.require(id)?;
        if !layer.is_remote_only() {
            return Ok(layer);
        }
        let _one = self.lock_pull(&layer)?;
        let layer = self.require(id)?;
        if layer.is_remote_only() {
            self.fetch_blob(&layer)?;
        }
        self.require(id)
    }

    /// Makes sure that a blob of the layer is here, if it is one that can be fetched.
    ///
    /// # Errors
    /// As [`require_local`](Self::require_local).
    pub fn ensure_blob(&self, id: &LayerId, digest: &Digest) -> Result<(), StoreError> {
        let blobs = crate::Blobs { inner: self.inner };
        if blobs.size(digest)?.is_some() {
            return Ok(());
        }
        let _one = self.lock_pull(&self.require(id)?)?;
        let mut layer = self.require(id)?;
        layer.forms.remote.retain(|form| form.blob.digest == *digest);
        if blobs.size(digest)?.is_some() || layer.forms.remote.is_empty() {
            return Ok(());
        }
        self.fetch_blob(&layer)
    }

    /// Takes the lock that whoever pulls the layer takes.
    fn lock_pull(&self, layer: &Layer) -> Result<LockGuard, StoreError> {
        let key = layer.diff_id(None).map(|diff_id| diff_id.0.to_string()).unwrap_or_default();
        lock::take(&self.inner.lock_path("pull", key.as_bytes()), Hold::Exclusive)
    }

    /// Fetches the blob from the first place that gives it.
    fn fetch_blob(&self, layer: &Layer) -> Result<(), StoreError> {
        let mut failure = None;
        for form in &layer.forms.remote {
            match self.fetch_from(layer, form) {
                Err(error @ (StoreError::Fetch { .. } | StoreError::DigestMismatch { .. })) => {
                    failure.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(failure.unwrap_or(StoreError::NoForm { layer: layer.id }))
    }

    fn fetch_from(&self, layer: &Layer, form: &RemoteForm) -> Result<(), StoreError> {
        let image = || form.image.clone();
        let failed =
            |source| StoreError::Fetch { digest: form.blob.digest, image: image(), source };
        let Some(fetcher) = self.fetcher else {
            return Err(StoreError::NotFetched { layer: layer.id, image: image() });
        };
        let diff_id = layer.diff_id(None).ok_or(StoreError::NoForm { layer: layer.id })?;
        let mut reader = fetcher.open(form).map_err(failed)?;
        let mut writer = crate::Blobs { inner: self.inner }.writer()?;
        io::copy(&mut reader, &mut writer).map_err(|error| match is_full(&error) {
            true => StoreError::io(format!("store the layer `{}`", layer.id), error),
            false => failed(Box::new(error)),
        })?;
        let (digest, _) = writer.finish(Some(form.blob.digest))?;
        self.add_blob(&diff_id, &digest, form.blob.media_type.as_str())?;
        Ok(())
    }
}

impl Layer {
    /// Says whether none of its bytes are here, and they can be fetched.
    pub fn is_remote_only(&self) -> bool {
        !self.forms.any_local() && !self.forms.remote.is_empty()
    }

    /// Returns the blob that an image's layer came as, if it is here.
    pub fn came_as(&self) -> Option<&BlobForm> {
        self.forms.blobs.iter().find(|form| form.how.is_empty())
    }
}

/// The image's name without tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    match name.rfind(':') {
        Some(at) if !name[at..].contains('/') => &name[..at],
        _ => name,
    }
}

fn places(tx: &Connection, id: &LayerId) -> rusqlite::Result<Vec<RemoteForm>> {
    let mut statement = tx.prepare_cached("select remote from layers where id = ?1")?;
    let known: Option<Option<String>> = statement.query_row([id], |row| row.get(0)).optional()?;
    Ok(decode(known.flatten().as_deref()))
}

fn encode(forms: &[RemoteForm]) -> String {
    serde_json::to_string(forms).unwrap_or_default()
}

/// Reads what was written of places; what can't be read names none.
pub(super) fn decode(text: Option<&str>) -> Vec<RemoteForm> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_the_name_without_tag_and_digest() {
        for (image, expected) in [
            ("docker.io/library/debian:13", "docker.io/library/debian"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("localhost:5000/a:1@sha256:00", "localhost:5000/a"),
        ] {
            assert_eq!(repository(image), expected);
        }
    }
}
