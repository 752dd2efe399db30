//! Packing: files of directories straight into a layer's tar, in one pass that digests them.
//!
//! The bytes are those that [`write_tar`](super::write_tar) writes of the same manifest. Threads read
//! and hash the files, each every so manieth unit of the tar, and write them to where they belong;
//! whoever called digests the units in order. Memory does not depend on sizes.
//!
//! - `unit`    the tar cut into pieces of work, some of which an earlier tar has already
//! - `read`    a unit's bytes
//! - `holes`   what of a sparse file need not be read
//! - `buffers` the memory of both
//! - `put`     their way into the tar; what an earlier one has is copied inside of the kernel

mod buffers;
mod holes;
mod put;
mod read;
mod unit;

use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;

use gantry_tree::{ContentId, Manifest, Root, TreeError, TreePath};

use self::buffers::Buffers;
use self::read::{Piece, Reader};
use self::unit::Units;
use super::write::Member;
use super::{END, LayerError};
use crate::digest::{DiffId, Hasher};

/// Files are waited for, if only in the kernel's locks: more threads pay off than there are
/// processors.
const WORKERS: usize = 4;

/// How many pieces a thread may be ahead.
const AHEAD: usize = 2;

/// Up to how many bytes are read and digested by one thread, which is quicker than starting another.
const ALONE: u64 = 1 << 20;

/// What is to be packed.
#[derive(Debug)]
pub struct Packing<'a> {
    /// The layer. A file's content is held against what it says, unless that is
    /// [`ContentId::UNREAD`].
    pub manifest: &'a Manifest,
    /// For each of its entries, from which of `roots` a file's bytes come, and from where there.
    pub sources: Vec<(usize, TreePath)>,
    /// Directories that bytes come from.
    pub roots: Vec<&'a Root>,
    /// A tar that likely has most of it.
    pub earlier: Option<Earlier<'a>>,
}

/// A layer's tar as it was written before, from which unchanged stretches are taken over.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// The tar, as [`pack`] or [`write_tar`](super::write_tar) wrote it.
    pub tar: &'a File,
    /// What is in it.
    pub manifest: &'a Manifest,
}

/// What was packed.
#[derive(Debug)]
pub struct Packed {
    /// By number of entry, the contents that the manifest did not know.
    pub read: Vec<(usize, ContentId)>,
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// How many bytes were taken over from the earlier tar.
    pub taken: u64,
}

/// Packing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file could not be read, or is not what the manifest says.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The tar could not be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// Writes the tar to `out`, an empty file. Long stretches of zeros become holes.
///
/// # Errors
/// [`PackError`]; what was written so far is of no use.
pub fn pack(packing: Packing<'_>, out: &File) -> Result<Packed, PackError> {
    let units = Units::new(packing.manifest, packing.earlier);
    let members = unit::members(packing.manifest);
    let buffers = Buffers::default();
    let mut sink = Sink { hasher: Hasher::new(), read: Vec::new(), buffers: &buffers };
    let parallel = std::thread::available_parallelism().map_or(1, NonZero::get) * 2;
    let workers = WORKERS.min(parallel).min(units.len());
    // One large file is read by one thread, and digested meanwhile by this one.
    if workers > 1 || units.end() > ALONE {
        threads((&packing, &units, &members), workers, out, &mut sink)?;
    } else {
        let mut reader = Reader::new(&packing, &units, &members, &buffers, out);
        for unit in 0..units.len() {
            reader.unit(unit, &mut |piece| {
                sink.take(piece);
                Ok(())
            })?;
        }
    }
    sink.hasher.update(&END);
    let diff_id = DiffId(std::mem::take(&mut sink.hasher).finish());
    out.write_all_at(&END, units.end()).map_err(LayerError::Write)?;
    Ok(Packed { read: sink.read, diff_id, taken: units.taken() })
}

fn threads(
    (packing, units, members): (&Packing<'_>, &Units, &[Member<'_>]),
    workers: usize,
    out: &File,
    sink: &mut Sink<'_>,
) -> Result<(), PackError> {
    let buffers = sink.buffers;
    std::thread::scope(|scope| {
        let mut channels = Vec::new();
        for worker in 0..workers {
            let (sender, receiver) = mpsc::sync_channel(AHEAD);
            let work = move || {
                let mut reader = Reader::new(packing, units, members, buffers, out);
                for unit in (worker..units.len()).step_by(workers) {
                    // Nobody listens any more once another has failed.
                    let mut send = |piece| sender.send(Ok(piece)).map_err(|_| stopped());
                    if let Err(error) = reader.unit(unit, &mut send) {
                        let _ = sender.send(Err(error));
                        return;
                    }
                }
            };
            std::thread::Builder::new()
                .name("gantry-pack".to_owned())
                .spawn_scoped(scope, work)
                .map_err(LayerError::Read)?;
            channels.push(receiver);
        }
        for unit in 0..units.len() {
            loop {
                let piece = channels[unit % workers].recv().map_err(|_| stopped())??;
                let last = piece.last;
                sink.take(piece);
                if last {
                    break;
                }
            }
        }
        Ok(())
    })
}

fn stopped() -> PackError {
    LayerError::Read(std::io::Error::other("a thread that reads files has stopped")).into()
}

/// Where the pieces come together.
struct Sink<'b> {
    hasher: Hasher,
    buffers: &'b Buffers,
    /// Contents that nobody knew.
    read: Vec<(usize, ContentId)>,
}

impl Sink<'_> {
    fn take(&mut self, piece: Piece) {
        self.read.extend(piece.read);
        holes::zeros(piece.zeros, |zeros| self.hasher.update(zeros));
        self.hasher.update(&piece.bytes);
        self.buffers.give(piece.bytes);
    }
}
