//! The tree room: file trees below a root that isn't trusted.
//!
//! Owns everything gantry does with directories full of files: opening below a hostile root,
//! listing and hashing, writing a fresh copy, deleting, and the words for what was found
//! ([`Entry`], [`Manifest`], [`View`]). It does not know what the files mean: layers, images and
//! build contexts are other rooms' words.
//!
//! ```text
//! path ─► entry ─► manifest ─► view      what is in a tree; no system call in these
//!                     ▲
//! root ─► scan ───────┤                  a directory on disk → manifest
//!   └───► copy ───────┘                  a plan → a fresh directory and its manifest
//! ```
//!
//! Deliberately absent: every open of a path string of the host below a root. A [`Root`] is a
//! directory descriptor, and all paths below it are resolved by `openat2` with
//! `RESOLVE_IN_ROOT` (or stricter) and `RESOLVE_NO_MAGICLINKS`.
#![forbid(unsafe_code)]

mod copy;
mod difference;
mod entry;
mod error;
mod manifest;
mod path;
mod resolve;
mod root;
mod scan;
mod view;
mod workers;
mod xattr;

pub use copy::{Chmod, Copied, CopyItem, CopyPlan, Donor, Existing, Overrides, Resolution, copy};
pub use difference::Difference;
pub use entry::{ContentId, Entry, FileKind, Node, NotAContentId, Time, Xattrs};
pub use error::TreeError;
pub use manifest::{ContentHasher, DecodeError, Manifest, ManifestError, Origin, Selected};
pub use path::{PathError, TreePath};
pub use resolve::{Follow, ResolveError, SYMLINK_LIMIT};
pub use root::{DirEntry, Opener, Root, Stat, remove_tree};
pub use scan::{
    Contents, Dialect, FilterFn, Glance, KnownFn, Scan, ScanOptions, Seen, Verdict, glance,
    hash_reader, scan,
};
pub use view::{Found, Resolved, View};
