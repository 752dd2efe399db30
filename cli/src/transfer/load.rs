//! `load`: the images of a docker archive or an OCI layout.

use std::io::Read;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use gantry_cache::{NewImage, NewList, Store};
use gantry_image::archive::{Archive, ArchivedImage, ArchivedLayer, DirectorySpool};
use gantry_image::{DateTime, Digest, Platform, Reference};

use super::TransferError;
use super::layer::{Brought, bring};
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
    let broken = |source| TransferError::Archive { name: name.to_owned(), source };
    let archive = match source {
        Source::Path(path) => Archive::open(path, &mut spool),
        Source::Stream(stream) => Archive::read(stream, &mut spool),
    }
    .map_err(broken)?;
    let bring = |image: &ArchivedImage| -> Result<Digest, TransferError> {
        let bring =
            |layer: &ArchivedLayer| bring(&archive, name, layer, store, (&work, &lease), tell);
        let brought = each(&image.layers, bring)?;
        let layers: Vec<_> = brought.iter().map(|layer| layer.id).collect();
        let size = brought.iter().map(|layer| layer.size).sum();
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
            size,
            created: image.config.value().created.as_ref().and_then(system_time),
        })?;
        Ok(id)
    };
    let mut loaded = Vec::new();
    let mut alone = archive.images().to_vec();
    for over in archive.indexes().iter().filter(|_| platform.is_none()) {
        let images: Vec<&ArchivedImage> =
            over.images.iter().filter_map(|at| archive.images().get(*at)).collect();
        let all: Vec<Digest> = images.iter().map(|image| bring(image)).collect::<Result<_, _>>()?;
        let host = Platform::host();
        let ranked = images.iter().enumerate();
        let ranked = ranked.filter_map(|(at, image)| Some((host.rank(&image.platform)?, at)));
        let shown = all[ranked.min().map_or(0, |(_, at)| at)];
        let mut blobs = Vec::new();
        for part in &over.blobs {
            if !lease.keep_blob(&part.digest)? {
                let mut bytes = archive.open_part(part).map_err(broken)?;
                let mut writer = store.blobs().writer()?;
                std::io::copy(&mut bytes, &mut writer)
                    .map_err(TransferError::io(format!("read the blob `{}`", part.digest)))?;
                writer.finish(Some(part.digest))?;
            }
            blobs.push(part.digest);
        }
        let index = store.blobs().put(over.index.bytes())?;
        let list = NewList { index, blobs: &blobs, images: &all };
        store.images().set_list(&shown, Some(&list))?;
        for name in &over.names {
            store.images().tag_list(name, &shown, Some(&index))?;
        }
        loaded.push(Loaded { id: shown, names: over.names.clone() });
        // What is left of an image's names stands for it alone.
        for at in &over.images {
            if let Some(image) = alone.get_mut(*at) {
                image.names.retain(|name| !over.names.contains(name));
            }
        }
    }
    let listed = |at: usize| {
        platform.is_none() && archive.indexes().iter().any(|over| over.images.contains(&at))
    };
    let mut at = 0;
    alone.retain(|image| {
        at += 1;
        !(image.names.is_empty() && listed(at - 1))
    });
    let chosen = choose(&alone, platform);
    if chosen.is_empty() && loaded.is_empty() {
        let platform = Box::new(platform.cloned().unwrap_or_else(Platform::host));
        return Err(TransferError::NoPlatform { name: name.to_owned(), platform });
    }
    for image in chosen {
        let id = bring(image)?;
        for name in &image.names {
            store.images().tag(name, &id)?;
        }
        loaded.push(Loaded { id, names: image.names.clone() });
    }
    Ok(loaded)
}

/// Brings layers, several at once where they are large, and each once; what is returned is in their
/// order. After a failure none is begun.
fn each(
    layers: &[ArchivedLayer],
    bring: impl Fn(&ArchivedLayer) -> Result<Brought, TransferError> + Sync,
) -> Result<Vec<Brought>, TransferError> {
    let mut once: Vec<&ArchivedLayer> = Vec::new();
    let mut places: Vec<usize> = Vec::with_capacity(layers.len());
    for layer in layers {
        let known = once.iter().position(|known| known.diff_id == layer.diff_id);
        places.push(known.unwrap_or(once.len()));
        if known.is_none() {
            once.push(layer);
        }
    }
    let large = once.iter().filter(|layer| layer.size >= LARGE).count();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(large);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed)
            && let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(layer) = once.get(number)
        {
            let brought = bring(layer);
            failed.fetch_or(brought.is_err(), Ordering::Relaxed);
            done.push((number, brought));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let spawn =
            |_| std::thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, work);
        // Where there can be no thread, this one does it all.
        let others: Vec<_> = (1..threads).flat_map(spawn).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(number, _)| *number);
    let brought = done.into_iter().map(|(_, brought)| brought).collect::<Result<Vec<_>, _>>()?;
    Ok(places.into_iter().map(|place| brought[place]).collect())
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
