//! `load`: the images of a docker archive or an OCI layout.

use std::io::Read;
use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, SystemTime};

use gantry_cache::{Lease, NewImage, NewList, Store, WorkDir};
use gantry_executor::each;
use gantry_image::archive::{Archive, ArchivedImage, ArchivedIndex, ArchivedLayer, DirectorySpool};
use gantry_image::{DateTime, Descriptor, Digest, Platform, Reference};

use super::TransferError;
use super::layer;
use super::told::Tell;

/// From this many bytes on a layer is worth a thread's start.
const LARGE: u64 = 1 << 20;

/// Where an archive comes from.
pub(crate) enum Source<'a> {
    /// A file, or a directory that is an OCI layout.
    Path(&'a Path),
    /// A stream.
    Stream(Box<dyn Read + Send>),
}

/// An image that is in the store now.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its ID.
    pub(crate) id: Digest,
    /// The names that it got.
    pub(crate) names: Vec<Reference>,
}

/// Loads all images of an archive. A name that stands for an index there does so in the store, with
/// all that it lists, and shows the host's image or else the first; of several images that bear one
/// name without an index, the host's is taken. With a `platform`, every name stands for the image for
/// that alone. `tell` hears how far each new layer has come.
///
/// # Errors
/// [`TransferError`]. Images before the broken one have been loaded then.
pub(crate) fn load(
    source: Source<'_>,
    name: &str,
    platform: Option<&Platform>,
    store: &Store,
    tell: Tell<'_>,
) -> Result<Vec<Loaded>, TransferError> {
    let work = store.work_dir()?;
    let lease = store.lease()?;
    let spool_dir = work.scratch().join("spool");
    fs_err::create_dir(&spool_dir).map_err(TransferError::io("create a spool"))?;
    let mut spool = DirectorySpool::new(&spool_dir);
    let archive = match source {
        Source::Path(path) => Archive::open(path, &mut spool),
        Source::Stream(stream) => Archive::read(stream, &mut spool),
    };
    let archive =
        archive.map_err(|source| TransferError::Archive { name: name.to_owned(), source })?;
    let indexes = if platform.is_none() { archive.indexes() } else { &[] };
    let alone = alone(&archive, indexes);
    let chosen = choose(&alone, platform);
    if chosen.is_empty() && indexes.is_empty() {
        let platform = Box::new(platform.cloned().unwrap_or_else(Platform::host));
        return Err(TransferError::NoPlatform { name: name.to_owned(), platform });
    }
    let loading = Loading { archive: &archive, name, store, work: &work, lease: &lease, tell };
    let mut loaded = Vec::new();
    for over in indexes {
        loaded.push(loading.index(over)?);
    }
    for image in chosen {
        let id = loading.image(image)?;
        for name in &image.names {
            store.images().tag(name, &id)?;
        }
        loaded.push(Loaded { id, names: image.names.clone() });
    }
    Ok(loaded)
}

/// An archive on its way into the store.
struct Loading<'a> {
    archive: &'a Archive<'a>,
    /// What the archive is called.
    name: &'a str,
    store: &'a Store,
    work: &'a WorkDir,
    lease: &'a Lease,
    tell: Tell<'a>,
}

impl Loading<'_> {
    /// Brings an image in, without a name.
    fn image(&self, image: &ArchivedImage) -> Result<Digest, TransferError> {
        let store = self.store;
        let bring = |layer: &ArchivedLayer| {
            let kept = (self.work, self.lease);
            layer::bring(self.archive, self.name, layer, store, kept, self.tell)
        };
        let large = image.layers.iter().filter(|layer| layer.size >= LARGE).count();
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(large);
        let brought = each(&image.layers, threads, |layer| layer.diff_id, bring)?;
        let layers: Vec<_> = brought.iter().map(|layer| layer.id).collect();
        let id = store.blobs().put(image.config.bytes())?;
        let manifest = match &image.manifest {
            Some(manifest) => Some(store.blobs().put(manifest.bytes())?),
            None => None,
        };
        store.images().put(&NewImage {
            id,
            manifest,
            platform: &image.platform,
            layers: &layers,
            size: brought.iter().map(|layer| layer.size).sum(),
            created: image.config.value().created.as_ref().and_then(system_time),
        })?;
        Ok(id)
    }

    /// Brings an index in with all that it lists, under its names.
    fn index(&self, over: &ArchivedIndex) -> Result<Loaded, TransferError> {
        let images: Vec<&ArchivedImage> =
            over.images.iter().filter_map(|at| self.archive.images().get(*at)).collect();
        let all: Vec<Digest> =
            images.iter().map(|image| self.image(image)).collect::<Result<_, _>>()?;
        let host = Platform::host();
        let ranked = images.iter().enumerate();
        let ranked = ranked.filter_map(|(at, image)| Some((host.rank(&image.platform)?, at)));
        let shown = all[ranked.min().map_or(0, |(_, at)| at)];
        over.blobs.iter().try_for_each(|part| self.part(part))?;
        let blobs: Vec<Digest> = over.blobs.iter().map(|part| part.digest).collect();
        let index = self.store.blobs().put(over.index.bytes())?;
        let list = NewList { index, blobs: &blobs, images: &all };
        self.store.images().set_list(&shown, Some(&list))?;
        for name in &over.names {
            self.store.images().tag_list(name, &shown, Some(&index))?;
        }
        Ok(Loaded { id: shown, names: over.names.clone() })
    }

    /// Brings a blob in that an index needs besides its images.
    fn part(&self, part: &Descriptor) -> Result<(), TransferError> {
        if self.lease.keep_blob(&part.digest)? {
            return Ok(());
        }
        let broken = |source| TransferError::Archive { name: self.name.to_owned(), source };
        let mut bytes = self.archive.open_part(part).map_err(broken)?;
        let mut writer = self.store.blobs().writer()?;
        std::io::copy(&mut bytes, &mut writer)
            .map_err(TransferError::io(format!("read the blob `{}`", part.digest)))?;
        writer.finish(Some(part.digest))?;
        Ok(())
    }
}

/// The images that are to be had without an index: those that none lists, and those with names that
/// stand for them alone.
fn alone(archive: &Archive<'_>, indexes: &[ArchivedIndex]) -> Vec<ArchivedImage> {
    let mut alone = Vec::new();
    for (at, image) in archive.images().iter().enumerate() {
        let over: Vec<_> = indexes.iter().filter(|over| over.images.contains(&at)).collect();
        let mut image = image.clone();
        image.names.retain(|name| !over.iter().any(|over| over.names.contains(name)));
        if over.is_empty() || !image.names.is_empty() {
            alone.push(image);
        }
    }
    alone
}

/// Takes of each name the image that suits the platform best; images without a name all.
fn choose<'a>(images: &'a [ArchivedImage], wanted: Option<&Platform>) -> Vec<&'a ArchivedImage> {
    let platform = wanted.cloned().unwrap_or_else(Platform::host);
    let mut chosen: Vec<&ArchivedImage> = Vec::new();
    for image in images {
        let rivals = || images.iter().filter(|other| other.names == image.names);
        let alone = image.names.is_empty() || rivals().count() == 1;
        let rank = platform.rank(&image.platform);
        let best = rivals().filter_map(|other| platform.rank(&other.platform)).min();
        let fits = match (wanted, alone) {
            // Whoever asks for nothing gets what there is.
            (None, true) => true,
            (Some(_), true) => rank.is_some(),
            (_, false) => rank.is_some() && rank == best,
        };
        // Of two that suit alike, the first.
        let taken = chosen.iter().any(|other| !alone && other.names == image.names);
        if fits && !taken {
            chosen.push(image);
        }
    }
    chosen
}

/// A config's time as the store wants it.
pub(super) fn system_time(time: &DateTime) -> Option<SystemTime> {
    let (seconds, nanos) = time.unix()?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    start?.checked_add(Duration::from_nanos(nanos.into()))
}
