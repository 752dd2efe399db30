//! Pins: what somebody uses for longer than a process lives, such as a container.

use gantry_image::Digest;

use crate::store::Inner;
use crate::{LayerId, StoreError};

/// The pins of a store.
#[derive(Debug, Clone, Copy)]
pub struct Pins<'s> {
    pub(crate) inner: &'s Inner,
}

/// Something that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pin {
    /// An image by its id: stays when its last name goes, and keeps its layers.
    Image(Digest),
    /// A layer.
    Layer(LayerId),
    /// A blob.
    Blob(Digest),
}

impl Pin {
    fn row(&self) -> (&'static str, String) {
        match self {
            Pin::Image(id) => ("image", id.to_string()),
            Pin::Layer(id) => ("layer", id.to_string()),
            Pin::Blob(digest) => ("blob", digest.to_string()),
        }
    }
}

impl Pins<'_> {
    /// Keeps exactly `pins` for `owner` (such as `container:<id>`), until [`clear`](Self::clear).
    /// Hold a [`Lease`](crate::Lease) on them meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NoSuchImage`], [`StoreError::LayerGone`] or [`StoreError::BlobGone`] if one
    /// of them isn't there; what `owner` had pinned before stays pinned then.
    pub fn set(&self, owner: &str, pins: &[Pin]) -> Result<(), StoreError> {
        self.inner.db.write(|tx| {
            tx.prepare_cached("delete from pins where owner = ?1")?.execute([owner])?;
            for pin in pins {
                let (kind, target) = pin.row();
                let there = match pin {
                    Pin::Image(_) => tx
                        .prepare_cached("select 1 from images where id = ?1")?
                        .exists([&target])?,
                    Pin::Layer(id) => {
                        tx.prepare_cached("update layers set dying = 0 where id = ?1")?
                            .execute([id])?
                            > 0
                    }
                    Pin::Blob(_) => {
                        tx.prepare_cached("update blobs set dying = 0 where digest = ?1")?
                            .execute([&target])?
                            > 0
                    }
                };
                if !there {
                    return Err(match *pin {
                        Pin::Image(_) => StoreError::NoSuchImage { name: target },
                        Pin::Layer(layer) => StoreError::LayerGone { layer },
                        Pin::Blob(digest) => StoreError::BlobGone { digest },
                    }
                    .into());
                }
                tx.prepare_cached("insert or ignore into pins values (?1, ?2, ?3)")?
                    .execute((owner, kind, target))?;
            }
            Ok(())
        })
    }

    /// Lets go of all that `owner` pinned.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn clear(&self, owner: &str) -> Result<(), StoreError> {
        self.inner.db.write(|tx| {
            tx.prepare_cached("delete from pins where owner = ?1")?.execute([owner])?;
            Ok(())
        })
    }

    /// Lists who pins something.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn owners(&self, pin: &Pin) -> Result<Vec<String>, StoreError> {
        let row = pin.row();
        self.inner.db.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select owner from pins where kind = ?1 and target = ?2 order by owner",
            )?;
            statement.query_map((row.0, &row.1), |row| row.get(0))?.collect()
        })
    }
}
