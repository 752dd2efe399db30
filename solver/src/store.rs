//! What the solver asks of a build cache: the [`Store`] trait and its words.
//!
//! A layer is known here by a [`LayerRef`] only: 32 bytes that mean something to whoever
//! implements the store. A [`Record`] holds what *one* operation made, never its parents' layers;
//! a root filesystem is put together from the records of a chain.

mod snapshot;

use std::{error::Error, fmt, sync::Arc, time::Duration};

pub use self::snapshot::Snapshot;
use crate::{graph::VertexId, key::Key};

/// A layer's name in the store. Equal names mean equal content, times included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerRef(pub [u8; 32]);

impl fmt::Debug for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerRef({})", crate::key::hex(&self.0[..6]))
    }
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The layers that the operation itself made, lowest first.
    pub own: Vec<LayerRef>,
    /// [`Snapshot::id`] of the base that they were made on top of; `None` if they hold on any.
    pub base: Option<[u8; 32]>,
    /// The content key of the operation when it ran.
    pub content_key: Key,
    /// How long the operation took when it ran.
    pub took: Duration,
}

/// What is remembered after an operation ran.
#[derive(Debug, Clone)]
pub struct Record {
    /// Which vertex of the build it was.
    pub vertex: VertexId,
    /// The keys to find it by: its recipe key, then its content key if that is another one.
    pub keys: Vec<Key>,
    /// The operation's word ([`Op::kind`](crate::Op::kind)).
    pub kind: &'static str,
    /// As it will be found.
    pub cached: Cached,
    /// The encoded [`Preimage`](crate::Preimage) with all details, for [`crate::why`].
    pub preimage: Packed,
    /// Where the step stood, for [`Store::nearest`].
    pub place: Place,
}

/// A preimage as the store keeps it: what [`Store::pack`] made of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(pub Vec<u8>);

/// Where a step stands: what stays the same when its inputs change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The stage's name or number.
    pub stage: Arc<str>,
    /// The how-manieth instruction of the stage it is, from 0.
    pub position: u32,
    /// The instruction as written.
    pub text: Arc<str>,
}

/// An earlier run of (probably) the same step.
#[derive(Debug, Clone)]
pub struct Nearest {
    /// The encoded preimage as recorded.
    pub preimage: Arc<[u8]>,
    /// How long it took.
    pub took: Duration,
    /// Why its result was pruned, if it was.
    pub gone: Option<String>,
}

/// A lock on a key, held until dropped. Dies with the process.
pub trait StoreLock: Send {}

/// Any `Send` value can be a lock: what counts is when it is dropped.
impl<T: Send> StoreLock for T {}

/// The store failed. Not found is no failure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Failed to {what} in the build cache")]
pub struct StoreError {
    /// What was tried, such as "look up a step".
    pub what: &'static str,
    /// Why it failed.
    #[source]
    pub source: Arc<dyn Error + Send + Sync>,
}

/// The build cache, as far as the solver is concerned. All calls block; the solver makes them on
/// worker threads, several at once.
pub trait Store: Send + Sync + 'static {
    /// Looks up several keys at once; answers are in the order of `keys`.
    ///
    /// `Some` promises that all layers named are there, and stay there as long as this process
    /// lives (the implementation keeps a lease).
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be read.
    fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<Cached>>, StoreError>;

    /// Makes an encoded preimage ready for its [`Record`], which may take a while: it is done while
    /// the step runs.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be; the step counts as failed then.
    fn pack(&self, preimage: Vec<u8>) -> Result<Packed, StoreError> {
        Ok(Packed(preimage))
    }

    /// Remembers what an operation made, under each of the keys. A record that is there already
    /// under one of them is replaced.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be written; the step counts as failed then.
    fn record(&self, record: Record) -> Result<(), StoreError>;

    /// Remembers that what was found by its content key is the result of this recipe key too, so
    /// that the next build finds it without its inputs.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be written. The step holds all the same.
    fn also(&self, recipe_key: Key, found: &Cached, place: &Place) -> Result<(), StoreError>;

    /// Returns earlier runs of the step at `place`, the best match first: same text at the same
    /// position, same text, same position. Only used to explain and to estimate.
    ///
    /// # Errors
    /// [`StoreError`] if the store can't be read.
    fn nearest(&self, place: &Place) -> Result<Option<Nearest>, StoreError>;

    /// Takes the lock on `key` if no other process (and nobody else in this one) holds it.
    ///
    /// Never waits: the solver comes back later, so that a build waiting for another one can be
    /// cancelled and runs other steps meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if locks don't work here.
    fn try_lock(&self, key: &Key) -> Result<Option<Box<dyn StoreLock>>, StoreError>;
}
