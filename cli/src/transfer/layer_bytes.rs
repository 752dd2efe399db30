//! A layer of the store on its way into an archive: what it is called there, and where its bytes are.

use std::io;

use gantry_cache::{LayerId, Store, StoreError};
use gantry_executor::TarReader;
use gantry_image::archive::{LayerBytes, SaveLayer};
use gantry_image::{Descriptor, DiffId, ImageConfig, MediaType};

use super::TransferError;

/// A layer that is a blob of the store.
pub(super) fn blob<'s>(descriptor: &Descriptor, store: &'s Store) -> SaveLayer<'s> {
    let digest = descriptor.digest;
    SaveLayer {
        descriptor: descriptor.clone(),
        open: Box::new(move || {
            let file = store.blobs().open(&digest).map_err(io::Error::other)?;
            let gone = || io::Error::other(StoreError::BlobGone { digest });
            Ok(LayerBytes::File(file.ok_or_else(gone)?.into_parts().0))
        }),
        told: Box::new(|_| ()),
    }
}

/// A layer's tar as its image knows it.
///
/// An image that was built with SOURCE_DATE_EPOCH has clamped times in its layers, and that epoch
/// for its own time.
pub(super) fn tar<'s>(
    id: LayerId,
    diff_id: DiffId,
    config: &ImageConfig,
    store: &'s Store,
) -> Result<SaveLayer<'s>, TransferError> {
    let created = config.created.as_ref().and_then(|time| time.unix());
    let clamps = [None, created.map(|(seconds, _)| seconds)];
    let mut found = None;
    for clamp in clamps {
        let (actual, size) = store.layers().ensure_diff_id(&id, clamp)?;
        if actual == diff_id {
            found = Some((clamp, size));
            break;
        }
    }
    let Some((clamp, size)) = found else {
        let (actual, _) = store.layers().ensure_diff_id(&id, None)?;
        return Err(TransferError::DiffId { expected: diff_id, actual });
    };
    Ok(SaveLayer {
        descriptor: Descriptor::new(MediaType::OciLayer, diff_id.0, size),
        open: Box::new(move || {
            let known = store.layers().require(&id).map_err(io::Error::other)?;
            if let Some(file) = known.open_tar(&diff_id).map_err(io::Error::other)? {
                return Ok(LayerBytes::File(file.into_parts().0));
            }
            let tar = TarReader::new(store, id, diff_id, clamp)?;
            Ok(LayerBytes::Checked(Box::new(tar)))
        }),
        told: Box::new(|_| ()),
    })
}
