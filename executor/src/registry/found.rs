//! What a reference came to, and how it becomes an image of the store once its layers are known.

use std::time::{Duration, SystemTime};

use gantry_cache::{LayerId, NewImage, RemoteForm, Store};
use gantry_image::{
    DateTime, Descriptor, DiffId, Digest, ImageConfig, ImageManifest, Platform, Raw, Reference,
};

use super::TransferError;
use super::pull::{PullRequest, Pulled};

/// What a reference came to.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) manifest: Raw<ImageManifest>,
    pub(crate) config: Raw<ImageConfig>,
}

impl Found {
    /// Returns what the image runs on; nothing if it doesn't say.
    pub(crate) fn platform(&self) -> Option<Platform> {
        Some(self.config.platform()).filter(|platform| !platform.os.is_empty())
    }

    /// Refuses an image that is for another platform.
    pub(super) fn check(
        &self,
        reference: &Reference,
        wanted: &Platform,
    ) -> Result<(), TransferError> {
        match self.platform() {
            Some(actual) if !wanted.matches(&actual) => Err(TransferError::OtherPlatform {
                reference: reference.familiar(),
                wanted: Box::new(wanted.clone()),
                actual: Box::new(actual),
            }),
            _ => Ok(()),
        }
    }

    /// The layers with their diff IDs, each of them once.
    pub(super) fn layers(&self) -> Vec<(&Descriptor, &DiffId)> {
        let mut all: Vec<(&Descriptor, &DiffId)> = Vec::new();
        for pair in self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids) {
            // One layer may be in an image twice.
            if !all.iter().any(|(_, diff_id)| *diff_id == pair.1) {
                all.push(pair);
            }
        }
        all
    }

    /// Makes the image one of the store, and fetches none of its layers.
    ///
    /// # Errors
    /// The store can't be written.
    pub(crate) fn adopt(
        &self,
        request: &PullRequest<'_>,
        store: &Store,
    ) -> Result<Pulled, TransferError> {
        let lease = store.lease()?;
        for (descriptor, diff_id) in self.layers() {
            let form =
                RemoteForm { image: request.reference.to_string(), blob: descriptor.clone() };
            let known = store.layers().by_diff_id(diff_id)?;
            // What was made here is as good; and what is known needs not be written again.
            let good = known.filter(|layer| {
                !layer.imported || layer.forms.remote.first().is_some_and(|first| *first == form)
            });
            if !good.is_some_and(|layer| lease.keep(&layer.id).unwrap_or(false)) {
                store.layers().add_remote(diff_id, &form)?;
            }
        }
        self.keep(request, store)
    }

    /// Stores the image, whose layers are known by now.
    pub(super) fn keep(
        &self,
        request: &PullRequest<'_>,
        store: &Store,
    ) -> Result<Pulled, TransferError> {
        let (id, layers, new) = self.store(store)?;
        let named = self.name(request, store, &id)?;
        let (digest, config) = (self.digest, self.config.clone());
        Ok(Pulled { id, digest, config, layers, newer: new || named })
    }

    /// Stores the image without a name, and says whether it wasn't there.
    pub(super) fn store(
        &self,
        store: &Store,
    ) -> Result<(Digest, Vec<LayerId>, bool), TransferError> {
        let Found { manifest, config, .. } = self;
        let diff_ids = &config.rootfs.diff_ids;
        let mut layers = Vec::with_capacity(diff_ids.len());
        let mut size = 0;
        for (diff_id, descriptor) in diff_ids.iter().zip(&manifest.layers) {
            let layer = store.layers().by_diff_id(diff_id)?.ok_or(TransferError::Lost)?;
            size += match layer.size {
                Some(size) => size,
                // Until it comes: then it is summed up anew.
                None if layer.is_remote_only() => descriptor.size,
                None => store.layers().ensure_manifest(&layer.id)?.total_size(),
            };
            layers.push(layer.id);
        }
        let id = store.blobs().put(config.bytes())?;
        let images = store.images();
        let known = images.get(&id)?;
        images.put(&NewImage {
            id,
            manifest: Some(store.blobs().put(manifest.bytes())?),
            platform: &config.platform().normalized(),
            layers: &layers,
            size,
            created: config.created.as_ref().and_then(system_time),
        })?;
        Ok((id, layers, known.is_none()))
    }

    /// Gives the image the names that it is to have, and says whether it had them not. A name stands
    /// for the whole index where the store has all of that.
    pub(super) fn name(
        &self,
        request: &PullRequest<'_>,
        store: &Store,
        id: &Digest,
    ) -> Result<bool, TransferError> {
        let (digest, reference) = (&self.digest, request.reference);
        let image = store.images().get(id)?.ok_or(TransferError::Lost)?;
        let tag = reference.tag().filter(|_| request.tag && reference.digest().is_none());
        let tagged = tag.and_then(|tag| reference.with_tag(tag).ok());
        let mut newer = false;
        for name in tagged.into_iter().chain([reference.with_digest(*digest)]) {
            let list = image.list_of(&name);
            let good = list == Some(*digest) || (list.is_none() && !request.all);
            if !image.names.contains(&name) || !good {
                newer = true;
                store.images().tag_list(&name, id, Some(digest))?;
            }
        }
        Ok(newer)
    }
}

/// A config's time as the store wants it.
fn system_time(time: &DateTime) -> Option<SystemTime> {
    let (seconds, nanos) = time.unix()?;
    let whole = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(whole + Duration::from_nanos(nanos.into()))
}
