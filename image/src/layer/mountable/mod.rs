//! The mountable index: a layer's metadata as a small EROFS image, whose file data lie in its tar.
//!
//! A kernel that mounts the index with the tar as its second device (`fsopen("erofs")` with `source`
//! and `device`) shows the layer without anything having been unpacked. Marks are overlayfs's: a
//! whiteout is a character device 0/0, an opaque directory has `trusted.overlay.opaque`.
//!
//! ```text
//! 0      1024         1536                          a multiple of 512
//! │ zero │ superblock │ inodes, each 32-byte aligned │ blocks of large directories and link targets
//!        │ + device   │ + attributes + inline data   │
//! ```
//!
//! The format is that of Linux's `fs/erofs/erofs_fs.h`: 512-byte blocks (a tar's, so that every file
//! begins on one), extended inodes (64 bytes: nanoseconds and 32-bit owners), one chunk a file.
//!
//! - `plan`     which inode lies where
//! - `dir`      a directory's blocks
//! - `xattrs`   attributes behind an inode
//! - `record`   superblock and inodes as bytes
//! - `looks`    what the root directory of an index says
//!
//! The same manifest and offsets give the same bytes. Memory grows with the number of entries.

mod dir;
mod looks;
mod plan;
mod record;
mod xattrs;

use std::io::{BufWriter, Write};

use gantry_tree::{Entry, Manifest, Node};

pub use looks::root_looks;

use self::plan::{Data, Place, Plan};
use self::record::{Count, Inode};
use super::offsets::Offsets;

/// The unit of everything; a tar's.
const BLOCK: u64 = super::BLOCK as u64;

/// Where inodes may begin; their numbers count these.
const SLOT: u64 = 32;

/// A layer has no index, and must be used as a tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Something in it can't be said in an index.
    #[error("The layer has no mountable index: {0}")]
    Unfit(String),
    /// It could not be written.
    #[error("Failed to write the mountable index")]
    Write(#[source] std::io::Error),
}

/// Writes the index of a layer to `out`.
///
/// `offsets` say where its tar has the files. `root` gives the looks of the root directory if the
/// manifest doesn't list it.
///
/// # Errors
/// [`IndexError::Unfit`] before the first byte is written: sparse members, attributes of unknown
/// kinds or with values above 64 KiB, names above 255 bytes, files above 1 TiB, tars above 2 TiB.
pub fn write_index(
    manifest: &Manifest,
    offsets: &Offsets,
    root: &Entry,
    out: &mut dyn Write,
) -> Result<(), IndexError> {
    let plan = Plan::new(manifest, offsets, root)?;
    let mut out = Count::new(BufWriter::with_capacity(256 << 10, out));
    emit(&plan, manifest, &mut out).and_then(|()| out.flush()).map_err(IndexError::Write)
}

fn emit(plan: &Plan<'_>, manifest: &Manifest, out: &mut Count<impl Write>) -> std::io::Result<()> {
    out.write_all(&record::head(plan))?;
    let mut bytes = Vec::new();
    for (at, place) in plan.in_order() {
        out.pad_to(place.at)?;
        bytes.clear();
        let entry = plan.entry(at);
        Inode { entry, place, number: plan.number(place) }.encode(&mut bytes);
        xattrs::encode(entry, &mut bytes);
        match (&place.data, &entry.node) {
            (Data::Chunk { block, .. }, _) => {
                bytes.resize(bytes.len().next_multiple_of(8), 0);
                // No advice, device 1.
                bytes.extend([0, 0, 1, 0]);
                bytes.extend(block.to_le_bytes());
            }
            (Data::Inline { .. }, Node::Symlink { target }) => bytes.extend(target),
            (Data::Inline { .. }, _) => dir::encode(&plan.listing(at), &mut bytes),
            (Data::Blocks { .. } | Data::None, _) => {}
        }
        out.write_all(&bytes)?;
    }
    for (at, place) in plan.in_order() {
        let Data::Blocks { first, .. } = place.data else { continue };
        out.pad_to(u64::from(first) * BLOCK)?;
        bytes.clear();
        match &plan.entry(at).node {
            Node::Symlink { target } => bytes.extend(target),
            _ => dir::encode(&plan.listing(at), &mut bytes),
        }
        out.write_all(&bytes)?;
    }
    debug_assert!(manifest.entries().len() + 1 >= plan.count());
    out.pad_to(plan.end())
}

impl Place {
    /// Bytes of the directory or link target, wherever they lie.
    fn length(&self) -> u64 {
        match self.data {
            Data::Inline { length } | Data::Blocks { length, .. } => length,
            Data::Chunk { .. } | Data::None => 0,
        }
    }
}
