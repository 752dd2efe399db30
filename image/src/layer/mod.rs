//! Layers as tars: from a tree manifest to bytes, and from hostile bytes to a tree.
//!
//! ```text
//! write      manifest + file contents ─► tar        deterministic; also the diff ID and size alone
//! unpack     tar ─► tree in overlay form + manifest  }  one pass, one set of checks:
//! index      tar ─► manifest                         }  `members` ─► `collect`
//! pack       files of directories ─► tar, offsets and diff ID, in one pass
//! mountable  manifest + offsets ─► an EROFS image that shows the tar's files
//! opaque     opaque marks ─► explicit whiteouts, given what lies below
//!
//! header     one ustar block and its PAX records, written
//! members    the loop from header to header of a tar that isn't trusted
//! member     a header's fields with PAX and GNU extensions applied
//! data       the current member's data, and the holes in it
//! offsets    where a tar has each file
//! fields     a header's fields: numbers, names, checksum
//! pax        what PAX records say
//! sparse     GNU's four ways to leave out holes
//! name       what a member's name means: `.wh.x`, `.wh..wh..opq`, AUFS leftovers
//! collect    members ─► manifest; duplicates, hard links, missing parents
//! place      members ─► files below a `Root`
//! ```
//!
//! Memory grows with the number of entries (the manifest) and not with the size of any file.

mod collect;
mod data;
mod error;
mod fields;
mod header;
mod member;
mod members;
mod mountable;
mod name;
mod offsets;
mod opaque;
mod options;
mod pack;
mod pax;
mod place;
mod sparse;
mod unpack;
mod write;

pub use error::LayerError;
pub use members::Limits;
pub use mountable::{IndexError, root_looks, write_index};
pub use offsets::Offsets;
pub use opaque::expand_opaque;
pub use options::{Devices, Ids, Note, UnpackOptions, Unpacked};
pub use pack::{Earlier, PackError, Packed, Packing, pack};
pub use unpack::{index, unpack};
pub use write::{Opener, diff_id, tar_size, write_tar};

pub(crate) use data::Chunk;
pub(crate) use header::{BLOCK, END, Header, Kind};
pub(crate) use member::MemberKind;
pub(crate) use members::Members;
pub(crate) use name::{link_target, plain};
