//! The store: everything that lies below gantry's root directory.
//!
//! Owns blobs, layers and their forms, build records, images and names, context indexes, cache
//! mounts, step logs, locks, leases; and who may remove what, when (`prune`, `fsck`). Mounts
//! nothing and starts no process. The API blocks; async callers use a blocking pool.
//!
//! ```text
//! store      opening; the handle that everything hangs on
//! sync       what makes new things survive a power failure
//! trash      getting rid of things; the reserve for a full disk
//! layout     where things lie below the root (drawn there)
//! db/        the database: connections, schema, what a reboot may have spoilt
//! lock       advisory locks between processes
//! owner      this process's place below work/, dead processes' places
//! lease      what a live process uses
//! work       directories to build a layer in
//! blobs      bytes by sha256
//! layers/    layers, their manifests and forms, one form from another
//! records    what a build step gave, by key
//! runs       what is remembered of steps whose results are gone
//! remote/    the same in caches elsewhere
//! logs       what a step printed
//! builds/    what happened in earlier builds
//! images/    images and their names
//! pins       what containers use
//! contexts   what is known of the files of a build context
//! mounts     cache mounts
//! usage      what takes how much space, and why it is kept
//! prune/     freeing space: a plan with reasons, then its execution
//! fsck/      holding the store against its promises
//! cleaner    removing directories in the background
//! hints      what could be found out again
//! id, error  names that the store gives; what can go wrong
//! ```
//!
//! Many processes use one store at once. Things appear by a single rename inside a database
//! transaction: data first, then the rename, then the row. Whatever dies in between leaves
//! something without a row, which `prune` and `fsck` clear away, and never a row without data.
//! No file is synced on its own; see [`Store::sync`].
#![forbid(unsafe_code)]

mod blobs;
mod builds;
mod cleaner;
mod contexts;
mod db;
mod error;
mod fsck;
mod hints;
mod id;
mod images;
mod layers;
mod layout;
mod lease;
mod lock;
mod logs;
mod mounts;
mod owner;
mod pins;
mod prune;
mod records;
pub mod remote;
mod runs;
mod store;
mod sync;
mod trash;
mod usage;
mod work;

pub use blobs::{BlobWriter, Blobs};
pub use builds::{BuildEntry, BuildId, Builds, Retention, RunningBuild};
pub use contexts::{ContextIndex, ContextIndexBuilder, Contexts, Look};
pub use error::StoreError;
pub use fsck::{FsckOptions, FsckReport, Problem, Severity};
pub use id::{BadId, Key, LayerId, LogId};
pub use images::{Image, Images, List, Member, NewImage, NewList, Removed};
pub use layers::{BlobForm, Fetch, FetchError, Forms, Layer, Layers, RemoteForm};
pub use lease::Lease;
pub use lock::LockGuard;
pub use logs::{LogReader, LogWriter, Logs};
pub use mounts::{CacheMount, Mounts, Sharing};
pub use pins::{Pin, Pins};
pub use prune::{Budget, Caps, Filter, Freed, Keeping, PruneOptions, PruneReport};
pub use records::{NewRecord, Record, RecordKind, Records};
pub use runs::{PlaceOfRun, Run, pack_preimage};
pub use store::{OpenOptions, Store};
pub use usage::{Kind, Usage};
pub use work::WorkDir;
