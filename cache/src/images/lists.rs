//! Indexes that names stand for: images for several platforms, and what is said about them.
//!
//! An index is a blob. The store knows beside it which other blobs it needs that belong to no image
//! (manifests of its images among them: an image may get another one), and which images it lists.
//! It is kept for as long as a name stands for it, or it came last with an image that is there.

use gantry_image::{Descriptor, Digest, ImageIndex, ImageManifest, Platform, Raw};
use rusqlite::Connection;

use super::{Image, Images, rows};
use crate::StoreError;
use crate::db::WriteError;

/// No manifest comes near this.
const MANIFEST: u64 = 8 << 20;
/// No statement about an image comes near this.
const STATEMENT: u64 = 100 << 20;

/// An index to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewList<'a> {
    /// The digest of the index, a blob of the store.
    pub index: Digest,
    /// The blobs that it needs besides: every manifest, and the blobs of those that are no image's.
    pub blobs: &'a [Digest],
    /// The IDs of the images that it lists.
    pub images: &'a [Digest],
}

/// An index of the store with all that it lists.
#[derive(Debug, Clone)]
pub struct List {
    /// The index, byte for byte.
    pub index: Raw<ImageIndex>,
    /// What each of its entries stands for, in their order.
    pub members: Vec<Member>,
}

/// What an entry of an index stands for.
#[derive(Debug, Clone)]
pub enum Member {
    /// An image, with the manifest that it has there.
    Image {
        /// The image.
        image: Box<Image>,
        /// Its manifest in this index.
        manifest: Raw<ImageManifest>,
    },
    /// Anything else, such as what is said about an image: its manifest, and all blobs of that.
    Other {
        /// The manifest.
        manifest: Raw<ImageManifest>,
        /// Config and layers.
        blobs: Vec<(Descriptor, Vec<u8>)>,
    },
}

impl List {
    /// Lists the images, with their manifests in this index.
    pub fn images(&self) -> impl Iterator<Item = (&Image, &Raw<ImageManifest>)> {
        self.members.iter().filter_map(|member| match member {
            Member::Image { image, manifest } => Some((&**image, manifest)),
            Member::Other { .. } => None,
        })
    }

    /// Returns the image that suits a platform best, of equals the first.
    #[must_use]
    pub fn select(&self, platform: &Platform) -> Option<(&Image, &Raw<ImageManifest>)> {
        let ranked =
            self.images().filter_map(|found| Some((platform.rank(&found.0.platform)?, found)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, found)| found)
    }
}

impl Images<'_> {
    /// Keeps an index with an image, or none any more. A name stands for it once it is given so, by
    /// [`tag_list`](Self::tag_list); who names the image by its ID means the one that it got last.
    ///
    /// # Errors
    /// [`StoreError::NoSuchImage`], or [`StoreError::BlobGone`] if one of the parts isn't there.
    pub fn set_list(&self, id: &Digest, list: Option<&NewList<'_>>) -> Result<(), StoreError> {
        let id = id.to_string();
        self.inner.db.write(|tx| {
            let index = list.map(|list| list.index.to_string());
            let changed = tx
                .prepare_cached("update images set list = ?2 where id = ?1")?
                .execute((&id, &index))?;
            if changed == 0 {
                return Err(StoreError::NoSuchImage { name: id.clone() }.into());
            }
            if let (Some(list), Some(index)) = (list, index) {
                put(tx, &index, list)?;
            }
            settle(tx)
        })
    }

    /// Reads an index that is kept, and what it lists.
    ///
    /// # Errors
    /// [`StoreError::BlobGone`] and [`StoreError::NoSuchImage`] where a part is missing,
    /// [`StoreError::BadFile`] for one that can't be read.
    pub fn members(&self, index: &Digest) -> Result<List, StoreError> {
        let blobs = crate::Blobs { inner: self.inner };
        let read = |digest: &Digest, limit| -> Result<Vec<u8>, StoreError> {
            blobs.read(digest, limit)?.ok_or(StoreError::BlobGone { digest: *digest })
        };
        let bad = |digest: &Digest, error: gantry_image::ParseJsonError| StoreError::BadFile {
            path: blobs.path(digest),
            why: error.to_string(),
        };
        let raw = Raw::<ImageIndex>::parse(read(index, MANIFEST)?).map_err(|e| bad(index, e))?;
        let mut members = Vec::with_capacity(raw.manifests.len());
        for entry in &raw.manifests {
            let manifest = Raw::<ImageManifest>::parse(read(&entry.digest, MANIFEST)?)
                .map_err(|error| bad(&entry.digest, error))?;
            let id = manifest.config.digest;
            let image = if is_image(entry, &manifest) { self.get(&id)? } else { None };
            members.push(match image {
                Some(image) => Member::Image { image: Box::new(image), manifest },
                None if is_image(entry, &manifest) => {
                    return Err(StoreError::NoSuchImage { name: id.to_string() });
                }
                None => {
                    let parts = manifest.layers.iter().chain([&manifest.config]);
                    let blobs = parts
                        .map(|part| Ok((part.clone(), read(&part.digest, STATEMENT)?)))
                        .collect::<Result<_, StoreError>>()?;
                    Member::Other { manifest, blobs }
                }
            });
        }
        Ok(List { index: raw, members })
    }

    /// Returns the image that a name stands for on a platform: of an index, the one that suits it.
    /// Without a platform, or where no index is kept, that is what
    /// [`resolve`](Self::resolve) finds.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); [`StoreError::NoPlatform`] if none of them suits.
    pub fn resolve_for(
        &self,
        text: &str,
        platform: Option<&Platform>,
    ) -> Result<Image, StoreError> {
        let image = self.resolve(text)?;
        let Some(platform) = platform else { return Ok(image) };
        let mut available = vec![image.platform.clone()];
        if let Some(index) = &image.list {
            let list = self.members(index)?;
            if let Some((found, _)) = list.select(platform) {
                let mut found = found.clone();
                if found.id == image.id {
                    // It is known by all of its names then.
                    found = image;
                }
                return Ok(found);
            }
            available = list.images().map(|(image, _)| image.platform.clone()).collect();
        }
        match platform.matches(&image.platform) {
            true => Ok(image),
            false => Err(StoreError::NoPlatform {
                name: text.to_owned(),
                wanted: Box::new(platform.clone()),
                available,
            }),
        }
    }
}

/// Says whether an entry stands for something that can be run.
fn is_image(entry: &Descriptor, manifest: &ImageManifest) -> bool {
    !entry.is_attestation()
        && manifest.config.media_type.is_config()
        && manifest.artifact_type.is_none()
}

fn put(tx: &Connection, index: &str, list: &NewList<'_>) -> Result<(), WriteError> {
    for digest in std::iter::once(&list.index).chain(list.blobs) {
        let text = digest.to_string();
        let there =
            tx.prepare_cached("update blobs set dying = 0 where digest = ?1")?.execute([&text])?;
        if there == 0 {
            return Err(StoreError::BlobGone { digest: *digest }.into());
        }
        tx.prepare_cached("insert or ignore into index_blobs values (?1, ?2)")?
            .execute((index, &text))?;
    }
    for image in list.images {
        let image = image.to_string();
        if !tx.prepare_cached("select 1 from images where id = ?1")?.exists([&image])? {
            return Err(StoreError::NoSuchImage { name: image }.into());
        }
        tx.prepare_cached("insert or ignore into index_images values (?1, ?2)")?
            .execute((index, &image))?;
    }
    Ok(())
}

/// Forgets indexes that nothing stands for any more, and what stands for an index that is gone.
const SETTLE: &str = "
    delete from index_images where list not in (select list from names where list is not null
        union select list from images where list is not null);
    delete from index_blobs where list not in (select list from index_images);
    update names set list = null where list is not null and list not in (select list from index_images);
    update images set list = null where list is not null and list not in (select list from index_images);
";

/// Forgets indexes of which a part is missing, and then what [`SETTLE`] does.
pub(crate) const MEND_LISTS: &str = "
    delete from index_images where list in (select list from index_images
        where image not in (select id from images) union select list from index_blobs
        where digest not in (select digest from blobs));
    update names set list = null where list is not null and list not in (select list from index_images);
    update images set list = null where list is not null and list not in (select list from index_images);
    delete from index_images where list not in (select list from names where list is not null
        union select list from images where list is not null);
    delete from index_blobs where list not in (select list from index_images);
";

/// Forgets the indexes that nothing stands for any more.
pub(super) fn settle(tx: &Connection) -> Result<(), WriteError> {
    for statement in SETTLE.split_terminator(';').filter(|sql| !sql.trim().is_empty()) {
        tx.prepare_cached(statement)?.execute(())?;
    }
    Ok(())
}

/// Drops the indexes that need a blob which is gone: their images are whole without them.
pub(crate) fn forget_lists(tx: &Connection, digest: &str) -> Result<(), WriteError> {
    let needed = "select 1 from index_blobs where digest = ?1";
    if !tx.prepare_cached(needed)?.exists([digest])? {
        return Ok(());
    }
    tx.prepare_cached(
        "delete from index_images where list in (select list from index_blobs where digest = ?1)",
    )?
    .execute([digest])?;
    settle(tx)
}

/// Drops the indexes that list an image which goes.
pub(super) fn forget_listing(tx: &Connection, id: &str) -> Result<(), WriteError> {
    tx.prepare_cached(
        "delete from index_images where list in (select list from index_images where image = ?1)",
    )?
    .execute([id])?;
    settle(tx)
}

/// The images that an index lists.
pub(super) fn listed(tx: &Connection, list: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        tx.prepare_cached("select image from index_images where list = ?1 order by image")?;
    statement.query_map([list], |row| row.get(0))?.collect()
}

impl Image {
    /// The index that one of its names stands for.
    #[must_use]
    pub fn list_of(&self, name: &gantry_image::Reference) -> Option<Digest> {
        self.lists.iter().find(|(known, _)| known == name).map(|(_, list)| *list)
    }
}

/// Reads which of an image's names stand for an index.
pub(super) fn of_names(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Vec<(gantry_image::Reference, Digest)>> {
    let mut statement = connection.prepare_cached(
        "select name, list from names where image = ?1 and list is not null order by name",
    )?;
    statement.query_map([id], |row| Ok((rows::parsed(row, 0)?, rows::parsed(row, 1)?)))?.collect()
}
