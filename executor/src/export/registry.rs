//! Into a registry: layers compressed, children before parents.

use gantry_cache::Store;
use gantry_image::{Descriptor, ImageIndex, MediaType, Raw, Reference};
use gantry_solver::CancelToken;

use super::{Assembled, Assembly, ExportError, Tell};
use crate::registry::{Bill, Moment, Registry, TransferError, Watch};

/// Pushes what was built under these names, and returns what a reader of the registry gets.
pub(crate) fn push(
    registry: &Registry,
    store: &Store,
    image: &Assembly,
    names: &[Reference],
    by_digest: bool,
    tell: Tell<'_>,
    cancel: &CancelToken,
) -> Result<Option<Descriptor>, ExportError> {
    let failed = |name: &Reference| {
        let name = name.familiar();
        move |source| ExportError::Push { name, source: Box::new(source) }
    };
    let Some(first) = names.first() else { return Ok(None) };
    let lease = store.lease()?;
    let mut bills = Vec::new();
    for one in &image.images {
        let layers: Vec<_> = one.layers.iter().map(|layer| layer.id).collect();
        lease.keep_layers(&layers)?;
        let (config, manifest) = (one.config.clone(), Some(one.manifest.clone()));
        bills.push(Bill::new(store, config, manifest, &layers, &lease).map_err(failed(first))?);
    }
    if !image.attached.is_empty() {
        // What is said names the manifest by its digest.
        let same =
            |(one, bill): (&Assembled, &Bill)| one.manifest.digest() == bill.descriptor().digest;
        if !image.images.iter().zip(&bills).all(same) {
            let what = "the image that is pushed is not the one that is spoken of".to_owned();
            return Err(ExportError::Image { what, source: None });
        }
    }
    let index = image.index.as_ref().map(|index| with_pushed(index, &bills));
    let mut pushed = None;
    for name in names {
        let target = name.clone().with_default_tag();
        let upload = || -> Result<Descriptor, TransferError> {
            let watch = Layers { tell };
            let mut last = None;
            for bill in &bills {
                let digest = bill.descriptor().digest;
                let alone = index.is_none() && !by_digest;
                let to = if alone { target.clone() } else { target.with_digest(digest) };
                last = Some(registry.upload(bill, &to, store, &watch, cancel)?);
            }
            for attached in &image.attached {
                for blob in &attached.blobs {
                    registry.push_bytes(&target, &blob.descriptor, &blob.bytes, cancel)?;
                }
                let manifest = &attached.manifest;
                let to = target.with_digest(manifest.digest());
                registry.put(&to, &manifest.media_type(), manifest.bytes(), cancel)?;
            }
            let Some(index) = &index else { return last.ok_or(TransferError::Lost) };
            let kind = index.media_type.clone().unwrap_or(MediaType::OciIndex);
            let to = if by_digest { target.with_digest(index.digest()) } else { target.clone() };
            registry.put(&to, &kind, index.bytes(), cancel)?;
            Ok(Descriptor::new(kind, index.digest(), index.size()))
        };
        let descriptor = upload().map_err(failed(&target))?;
        tell(&format!("pushing manifest for {target}@{}", descriptor.digest), 0, Some(0));
        pushed = Some(descriptor);
    }
    Ok(pushed)
}

/// The index over what is pushed, whose layers are compressed.
fn with_pushed(index: &Raw<ImageIndex>, bills: &[Bill]) -> Raw<ImageIndex> {
    let mut index = index.value().clone();
    for (entry, bill) in index.manifests.iter_mut().zip(bills) {
        let pushed = bill.descriptor();
        (entry.media_type, entry.digest, entry.size) =
            (pushed.media_type, pushed.digest, pushed.size);
    }
    Raw::write(index)
}

/// Tells of layers as BuildKit does.
struct Layers<'a> {
    tell: Tell<'a>,
}

impl Watch for Layers<'_> {
    fn moment(&self, moment: Moment) {
        if let Moment::Progress { layer, current, total } = moment {
            (self.tell)(&format!("pushing layer {layer}"), current, Some(total));
        }
    }
}
