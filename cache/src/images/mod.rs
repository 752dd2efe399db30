//! Images and their names, with docker's semantics.
//!
//! An image is known by the digest of its config (its ID). Any number of names point at it; giving
//! a name to another image leaves the old one without (dangling), and the last name that goes takes
//! the image along.

mod lists;
mod names;
mod rows;

use std::time::SystemTime;

use gantry_image::{Digest, Platform, Reference};

use crate::layers::ids_to_bytes;
use crate::lease::line_of_blob;
use crate::store::Inner;
use crate::{LayerId, StoreError, db};

pub use lists::{List, Member, NewList};
pub(crate) use lists::{MEND_LISTS, forget_lists};
pub use names::Removed;
pub(crate) use rows::{drop_dangling_names, forget, naming_blob, remeasure, within};

/// The images of a store.
#[derive(Debug, Clone, Copy)]
pub struct Images<'s> {
    pub(crate) inner: &'s Inner,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its config, which is a blob of the store.
    pub id: Digest,
    /// The digest of its manifest, if it came with one or was exported with one.
    pub manifest: Option<Digest>,
    /// The digest of the index that it was asked for by: the one that its name stands for; if it was
    /// found by its ID, the one that it got last.
    pub list: Option<Digest>,
    /// Which of its names stand for an index, and for which.
    pub lists: Vec<(Reference, Digest)>,
    /// Another image, with a name, whose index lists it: that keeps it.
    pub within: Option<Digest>,
    /// What it runs on.
    pub platform: Platform,
    /// Its layers, lowest first.
    pub layers: Vec<LayerId>,
    /// The sum of its layers' sizes, as `images` shows it.
    pub size: u64,
    /// When it says it was made.
    pub created: Option<SystemTime>,
    /// When it came into the store.
    pub stored: SystemTime,
    /// When it was last built upon or run.
    pub last_used: SystemTime,
    /// Its names, sorted.
    pub names: Vec<Reference>,
}

impl Image {
    /// Says whether no name stands for it, nor for an image that it stays with.
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        self.names.is_empty() && self.within.is_none()
    }
}

/// An image to be stored.
#[derive(Debug, Clone)]
pub struct NewImage<'a> {
    /// The digest of its config, which must be a blob of the store.
    pub id: Digest,
    /// The digest of its manifest, a blob as well, if it has one yet.
    pub manifest: Option<Digest>,
    /// What it runs on.
    pub platform: &'a Platform,
    /// Its layers, lowest first. All must be in the store.
    pub layers: &'a [LayerId],
    /// The sum of its layers' sizes.
    pub size: u64,
    /// When it says it was made.
    pub created: Option<SystemTime>,
}

impl Images<'_> {
    /// Stores an image, without a name. One that is there already stays, with its names.
    ///
    /// # Errors
    /// [`StoreError::BlobGone`] or [`StoreError::LayerGone`] if something that it names isn't there.
    pub fn put(&self, new: &NewImage<'_>) -> Result<(), StoreError> {
        let id = new.id.to_string();
        let manifest = new.manifest.map(|digest| digest.to_string());
        self.inner.lease_own(line_of_blob(&id))?;
        if let Some(manifest) = &manifest {
            self.inner.lease_own(line_of_blob(manifest))?;
        }
        self.inner.db.write(|tx| {
            let mut blob = tx.prepare_cached("update blobs set dying = 0 where digest = ?1")?;
            for digest in [Some(new.id), new.manifest].into_iter().flatten() {
                if blob.execute([digest.to_string()])? == 0 {
                    return Err(StoreError::BlobGone { digest }.into());
                }
            }
            let mut layer = tx.prepare_cached("update layers set dying = 0 where id = ?1")?;
            let mut link =
                tx.prepare_cached("insert or ignore into image_layers values (?1, ?2)")?;
            for layer_id in new.layers {
                if layer.execute([layer_id])? == 0 {
                    return Err(StoreError::LayerGone { layer: *layer_id }.into());
                }
                link.execute((layer_id, &id))?;
            }
            tx.prepare_cached(
                "insert into images \
                     (id, manifest, platform, layers, size, created, stored, used, unsynced) \
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8) \
                 on conflict do update set manifest = coalesce(?2, manifest), used = ?7",
            )?
            .execute((
                &id,
                &manifest,
                new.platform.to_string(),
                ids_to_bytes(new.layers),
                new.size,
                new.created.map(db::to_millis),
                self.inner.now(),
                Inner::epoch(tx)?,
            ))?;
            Ok(())
        })
    }

    /// Lists all images, the newest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn list(&self) -> Result<Vec<Image>, StoreError> {
        self.inner.db.read(|connection| {
            let mut images = rows::all(connection)?;
            images.sort_by_key(|image| {
                (std::cmp::Reverse(image.created.unwrap_or(SystemTime::UNIX_EPOCH)), image.id)
            });
            Ok(images)
        })
    }

    /// Looks an image up by its full id.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn get(&self, id: &Digest) -> Result<Option<Image>, StoreError> {
        let id = id.to_string();
        self.inner.db.read(|connection| rows::by_id(connection, &id))
    }

    /// Finds an image by what a user calls it: a name, whose tag is `latest` if none is said, a
    /// name with a digest, an id, or enough of its beginning. A name wins over an id.
    ///
    /// # Errors
    /// [`StoreError::NoSuchImage`], or [`StoreError::AmbiguousImage`] for a beginning that several
    /// ids have.
    pub fn resolve(&self, text: &str) -> Result<Image, StoreError> {
        let found = self.inner.db.read(|connection| rows::resolve(connection, text))?;
        match found {
            rows::Resolved::One(image) => Ok(*image),
            rows::Resolved::None => Err(names::no_such_image(text)),
            rows::Resolved::Many(count) => {
                Err(StoreError::AmbiguousImage { prefix: text.to_owned(), count })
            }
        }
    }

    /// Notes that an image was used just now.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn touch(&self, id: &Digest) -> Result<(), StoreError> {
        let id = id.to_string();
        self.inner.db.write(|tx| {
            tx.prepare_cached("update images set used = ?2 where id = ?1")?
                .execute((id, self.inner.now()))?;
            Ok(())
        })
    }
}
