//! Pushing: an image of the store into a registry, children before parents.

use std::collections::VecDeque;

use gantry_cache::Store;
use gantry_image::{Descriptor, DiffId, Digest, MediaType, Reference};
use gantry_solver::CancelToken;

use super::bill::Bill;
use super::listing::Listing;
use super::remote::Registry;
use super::upload::Upload;
use super::{Moment, TransferError, Watch};

/// What to push.
#[derive(Debug, Clone)]
pub struct PushRequest<'a> {
    /// The ID of an image of the store.
    pub image: Digest,
    /// The index that is pushed whole, with this image and all others; else the image alone.
    pub list: Option<Digest>,
    /// Where to, with a tag.
    pub reference: &'a Reference,
}

/// An image that is in the registry now.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The digest of its manifest, or of the index.
    pub digest: Digest,
    /// The size of that.
    pub size: u64,
    /// What kind of manifest it is.
    pub media_type: MediaType,
}

impl Registry {
    /// Pushes an image, or all that an index lists and then the index. An image that came with a
    /// manifest keeps it, byte for byte; of any other the layers are compressed the first time, and
    /// both blobs and manifest are kept.
    ///
    /// # Errors
    /// [`TransferError`]. Blobs that are in the registry by then stay there, without a manifest.
    pub fn push(
        &self,
        request: &PushRequest<'_>,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Pushed, TransferError> {
        let lease = store.lease()?;
        let image = store.images().resolve(&request.image.to_string())?;
        let to = request.reference;
        let name = |pushed: &Descriptor| to.with_digest(pushed.digest);
        let pushed = match &request.list {
            Some(index) => {
                let list = Listing::of(store, index, &lease)?;
                let pushed = self.upload_list(&list, to, store, watch, cancel)?;
                if list.index.digest() != *index {
                    list.keep(store, &image.id)?;
                    store.images().tag_list(to, &image.id, Some(&pushed.digest))?;
                }
                store.images().tag_list(&name(&pushed), &image.id, Some(&pushed.digest))?;
                pushed
            }
            None => {
                lease.keep_layers(&image.layers)?;
                let bill = Bill::of_image(store, &image, &lease)?;
                let pushed = self.upload(&bill, to, store, watch, cancel)?;
                if !image.names.contains(&name(&pushed)) {
                    store.images().tag(&name(&pushed), &image.id)?;
                }
                pushed
            }
        };
        Ok(Pushed { digest: pushed.digest, size: pushed.size, media_type: pushed.media_type })
    }

    /// Brings all that an index lists into a repository, and the index at last.
    fn upload_list(
        &self,
        list: &Listing,
        to: &Reference,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Descriptor, TransferError> {
        let by_digest = |digest: Digest| to.with_digest(digest);
        for bill in &list.bills {
            self.upload(bill, &by_digest(bill.descriptor().digest), store, watch, cancel)?;
        }
        for (manifest, blobs) in &list.others {
            for (descriptor, bytes) in blobs {
                self.push_bytes(to, descriptor, bytes, cancel)?;
            }
            let digest = manifest.digest();
            self.put(&by_digest(digest), &manifest.media_type(), manifest.bytes(), cancel)?;
        }
        let index = &list.index;
        let kind = index.media_type.clone().unwrap_or(MediaType::OciIndex);
        self.put(to, &kind, index.bytes(), cancel)?;
        Ok(Descriptor::new(kind, index.digest(), index.size()))
    }

    /// Brings all parts of an image into a repository, and the manifest at last: under the tag of
    /// `to`, or only by its digest.
    pub(crate) fn upload(
        &self,
        bill: &Bill,
        to: &Reference,
        store: &Store,
        watch: &dyn Watch,
        cancel: &CancelToken,
    ) -> Result<Descriptor, TransferError> {
        watch.moment(Moment::Layers(bill.diff_ids().iter().map(|diff_id| diff_id.0).collect()));
        let mut queue: VecDeque<(&Descriptor, &DiffId)> = VecDeque::new();
        // As docker does: the uppermost first, which is the one that is new.
        for pair in bill.manifest.layers.iter().zip(bill.diff_ids()).rev() {
            if !queue.iter().any(|(known, _)| known.digest == pair.0.digest) {
                queue.push_back(pair);
            }
        }
        Upload::new(self, to, store, watch, cancel, queue)?.run()?;
        self.push_bytes(to, &bill.manifest.config, bill.config.bytes(), cancel)?;
        let descriptor = bill.descriptor();
        self.put(to, &descriptor.media_type, bill.manifest.bytes(), cancel)?;
        Ok(descriptor)
    }
}
