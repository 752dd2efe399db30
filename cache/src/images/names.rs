//! Naming images and taking names away.

use gantry_image::{Digest, Reference};
use rusqlite::{Connection, OptionalExtension};

use super::{Images, lists, rows};
use crate::StoreError;
use crate::db::WriteError;

/// What removing an image came to, in the order in which docker prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The names that are gone.
    pub untagged: Vec<Reference>,
    /// The image, if it went with its last name.
    pub deleted: Option<Digest>,
    /// The images for other platforms that no name stands for any more.
    pub others: Vec<Digest>,
}

impl Images<'_> {
    /// Lets `reference` name the image `id`, whatever it named before; a missing tag is `latest`.
    /// The image that had the name stays, maybe without any.
    ///
    /// # Errors
    /// [`StoreError::NoSuchImage`] if there is no image `id`.
    pub fn tag(&self, reference: &Reference, id: &Digest) -> Result<(), StoreError> {
        self.tag_list(reference, id, None)
    }

    /// Lets `reference` name an index of which the image `id` is the one to be shown; without one,
    /// the image alone. An index that isn't kept, or doesn't list the image, is none.
    ///
    /// # Errors
    /// As [`tag`](Self::tag).
    pub fn tag_list(
        &self,
        reference: &Reference,
        id: &Digest,
        list: Option<&Digest>,
    ) -> Result<(), StoreError> {
        let (name, id) = (key(reference), id.to_string());
        let list = list.map(Digest::to_string);
        self.inner.db.write(|tx| {
            if !tx.prepare_cached("select 1 from images where id = ?1")?.exists([&id])? {
                return Err(StoreError::NoSuchImage { name: id }.into());
            }
            // Until the new image is on disk for sure, the name remembers the old one.
            let changed = tx
                .prepare_cached("select 1 from names where name = ?1 and list is not null")?
                .exists([&name])?;
            tx.prepare_cached(
                "insert into names (name, image, list) values (?1, ?2, \
                     (select list from index_images where list = ?3 and image = ?2)) \
                 on conflict do update set list = excluded.list, \
                 previous = case when image = ?2 then previous else image end, image = ?2",
            )?
            .execute((&name, id, list))?;
            if changed {
                lists::settle(tx)?;
            }
            Ok(())
        })
    }

    /// Removes what a user calls an image, as `docker rmi` does.
    ///
    /// A name goes alone while others name the image. The last name, or the id, takes the image
    /// along, unless the index of another one's name lists it; and so does the last name of an index
    /// with the images for other platforms. Their layers stay for pruning, which knows who else uses
    /// them.
    ///
    /// # Errors
    /// [`StoreError::NoSuchImage`]; without `force`, [`StoreError::ImageReferenced`] for the id of
    /// an image that names of several repositories point at, and [`StoreError::ImageUsed`] for one
    /// that a [pin](crate::Pins) uses, or for the id of one that stays with another. With `force`,
    /// an image in use loses its names and stays.
    pub fn remove(&self, text: &str, force: bool) -> Result<Removed, StoreError> {
        self.inner.db.write(|tx| {
            let image = match rows::resolve(tx, text)? {
                rows::Resolved::One(image) => image,
                rows::Resolved::None => return Err(no_such_image(text).into()),
                rows::Resolved::Many(count) => {
                    let prefix = text.to_owned();
                    return Err(StoreError::AmbiguousImage { prefix, count }.into());
                }
            };
            let id = image.id.to_string();
            let named = match text.parse::<Reference>() {
                Ok(reference)
                    if rows::by_name(tx, &reference)?.is_some_and(|(found, _)| found == id) =>
                {
                    Some(reference)
                }
                _ => None,
            };
            let going: Vec<Reference> = match &named {
                Some(reference) => going_with(reference, &image.names),
                None => image.names.clone(),
            };
            let last = going.len() == image.names.len();
            let user = pinned_by(tx, &id)?;
            let holder = rows::within(tx, &id)?.map(|name| match name.parse::<Reference>() {
                Ok(name) => format!("image {}", name.familiar()),
                Err(_) => name,
            });
            if !force && named.is_none() && repositories(&image.names) > 1 {
                return Err(StoreError::ImageReferenced { id: image.id.short() }.into());
            }
            if let Some(owner) = user.as_ref().filter(|_| last && !force) {
                let (id, owner) = (image.id.short(), owner.clone());
                let name = named.as_ref().map(|_| text.to_owned());
                return Err(StoreError::ImageUsed { name, id, owner }.into());
            }
            if let Some(owner) = holder.clone().filter(|_| named.is_none() && !force) {
                let id = image.id.short();
                return Err(StoreError::ImageUsed { name: None, id, owner }.into());
            }
            let mut others = Vec::new();
            for name in &going {
                if let Some(list) = image.list_of(name) {
                    others.extend(lists::listed(tx, &list.to_string())?);
                }
                tx.prepare_cached("delete from names where name = ?1")?.execute([key(name)])?;
            }
            let deleted = last && user.is_none() && holder.is_none();
            if deleted {
                // A name that remembers this image from before must not bring another one back.
                tx.prepare_cached("update names set previous = null where previous = ?1")?
                    .execute([&id])?;
                rows::forget(tx, &id)?;
            }
            lists::settle(tx)?;
            let others = forget_unnamed(tx, others, &id)?;
            Ok(Removed { untagged: going, deleted: deleted.then_some(image.id), others })
        })
    }
}

/// Removes those images that an index listed, and that neither a name nor a user keeps now.
fn forget_unnamed(
    tx: &Connection,
    mut images: Vec<String>,
    but: &str,
) -> Result<Vec<Digest>, WriteError> {
    images.sort_unstable();
    images.dedup();
    let mut gone = Vec::new();
    for id in images.iter().filter(|id| *id != but) {
        let Some(image) = rows::by_id(tx, id)? else { continue };
        if image.is_dangling() && pinned_by(tx, id)?.is_none() {
            tx.prepare_cached("update names set previous = null where previous = ?1")?
                .execute([id])?;
            rows::forget(tx, id)?;
            gone.push(image.id);
        }
    }
    Ok(gone)
}

/// The text by which a name is known in the database: canonical, with its tag or digest.
pub(super) fn key(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => format!("{}@{digest}", reference.name()),
        None => {
            let tag = reference.tag().unwrap_or("latest");
            format!("{}:{tag}", reference.name())
        }
    }
}

/// Docker names what it did not find by the familiar name with its tag.
pub(super) fn no_such_image(text: &str) -> StoreError {
    let name = match text.parse::<Reference>() {
        Ok(reference) if !text.starts_with("sha256:") => reference.with_default_tag().familiar(),
        _ => text.to_owned(),
    };
    StoreError::NoSuchImage { name }
}

/// The names that go when `reference` does: the last tag of a repository takes its digests along.
fn going_with(reference: &Reference, names: &[Reference]) -> Vec<Reference> {
    let wanted = key(reference);
    let rest: Vec<&Reference> = names.iter().filter(|name| key(name) != wanted).collect();
    let repository = reference.name();
    let tagged = rest.iter().any(|name| name.name() == repository && name.tag().is_some());
    let goes = |name: &&Reference| {
        key(name) == wanted || (!tagged && name.name() == repository && name.digest().is_some())
    };
    names.iter().filter(goes).cloned().collect()
}

fn repositories(names: &[Reference]) -> usize {
    let mut names: Vec<String> = names.iter().map(Reference::name).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

fn pinned_by(tx: &Connection, id: &str) -> Result<Option<String>, WriteError> {
    let mut statement =
        tx.prepare_cached("select owner from pins where kind = 'image' and target = ?1 limit 1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}
