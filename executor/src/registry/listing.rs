//! An index of the store, with its images and what is said about them, as it goes into a registry.

use gantry_cache::{Lease, Member, NewList, Store};
use gantry_image::{Descriptor, Digest, ImageIndex, ImageManifest, Raw};

use super::TransferError;
use super::bill::{Bill, read_config};

/// An index of the store as it goes into a registry, where layers are compressed.
pub(super) struct Listing {
    pub(super) index: Raw<ImageIndex>,
    pub(super) bills: Vec<Bill>,
    pub(super) others: Vec<Spoken>,
}

/// A manifest that is no image's, and the blobs that it names.
pub(super) type Spoken = (Raw<ImageManifest>, Vec<(Descriptor, Vec<u8>)>);

impl Listing {
    /// Compresses what is to be compressed. Where that gives an image another manifest, what is said
    /// about the old one is left out; where all stays as it is, so does the index, byte for byte.
    pub(super) fn of(store: &Store, index: &Digest, lease: &Lease) -> Result<Self, TransferError> {
        let list = store.images().members(index)?;
        let mut made = list.index.value().clone();
        made.manifests.clear();
        let (mut bills, mut others) = (Vec::new(), Vec::new());
        let mut spoken_of = Vec::new();
        for (entry, member) in list.index.manifests.iter().zip(list.members) {
            match member {
                Member::Image { image, manifest } => {
                    lease.keep_layers(&image.layers)?;
                    let config = read_config(store, &image.id)?;
                    let bill = Bill::new(store, config, Some(manifest), &image.layers, lease)?;
                    let pushed = bill.descriptor();
                    spoken_of.push((entry.digest, pushed.digest));
                    made.manifests.push(Descriptor {
                        media_type: pushed.media_type,
                        digest: pushed.digest,
                        size: pushed.size,
                        ..entry.clone()
                    });
                    bills.push(bill);
                }
                Member::Other { manifest, blobs } => {
                    made.manifests.push(entry.clone());
                    others.push((manifest, blobs));
                }
            }
        }
        let lost = |entry: &Descriptor| {
            let about = entry.attested();
            spoken_of.iter().any(|(old, new)| Some(*old) == about && old != new)
        };
        let lost: Vec<Digest> =
            made.manifests.iter().filter(|entry| lost(entry)).map(|entry| entry.digest).collect();
        made.manifests.retain(|entry| !lost.contains(&entry.digest));
        others.retain(|(manifest, _)| !lost.contains(&manifest.digest()));
        let index = match made == *list.index.value() {
            true => list.index,
            false => Raw::write(made),
        };
        Ok(Self { index, bills, others })
    }

    /// Keeps the index as it was pushed, with an image that it lists.
    pub(super) fn keep(&self, store: &Store, id: &Digest) -> Result<(), TransferError> {
        let index = store.blobs().put(self.index.bytes())?;
        let mut blobs = Vec::new();
        for bill in &self.bills {
            blobs.push(store.blobs().put(bill.manifest.bytes())?);
        }
        for (manifest, parts) in &self.others {
            blobs.push(manifest.digest());
            blobs.extend(parts.iter().map(|(part, _)| part.digest));
        }
        let images: Vec<Digest> = self.bills.iter().map(|bill| bill.config.digest()).collect();
        let list = NewList { index, blobs: &blobs, images: &images };
        Ok(store.images().set_list(id, Some(&list))?)
    }
}
