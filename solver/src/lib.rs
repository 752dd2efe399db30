//! Solver: the graph of a build, what makes two steps the same, and what may run when.
//!
//! Three things happen here, in this order, and nothing else:
//!
//! 1. [`lower`](mod@lower) turns a parsed Dockerfile into a [`Graph`] of operations, an image config and a
//!    history. All Dockerfile words end there.
//! 2. [`key`] says which two operations are the same: a [`Key`] is the hash of a [`Preimage`],
//!    and every preimage can be stored, read back and compared ([`why`]).
//! 3. [`solve`] asks the store about what the targets need, runs what is missing, and reports
//!    every move as an [`Event`].
//!
//! The room opens no file, no socket and no process. What it needs from the world are four
//! traits: [`Resolve`] (a name → an image), [`Store`] (ask and record), [`Work`] (carry out one
//! operation) and [`Observer`] (hear what happens). So it is tested with toys that add numbers.
#![forbid(unsafe_code)]

pub mod cancel;
pub mod event;
pub mod graph;
pub mod key;
#[expect(
    clippy::result_large_err,
    reason = "a diagnostic is made once and ends the lowering: its size costs nothing"
)]
pub mod lower;
pub mod op;
pub mod resolve;
pub mod scheduler;
pub mod store;
pub mod why;
pub mod work;

pub use cancel::CancelToken;
pub use event::{Event, Observer, Stream};
pub use graph::{Graph, Role, Vertex, VertexId};
pub use key::{Key, Preimage};
pub use lower::{Context, HistoryItem, LowerErrors, LowerOptions, Lowered, lower};
pub use op::Op;
pub use resolve::{
    BoxFuture, Dated, ImageName, ImageRequest, Resolve, ResolveError, ResolvedImage,
};
pub use scheduler::{
    Failure, Fate, NoCache, Options, Planned, SolveError, Solved, World, plan, solve,
};
pub use store::{
    Cached, LayerRef, Nearest, Packed, Place, Record, Snapshot, Store, StoreError, StoreLock,
};
pub use why::Why;
pub use work::{Done, Events, SourceAnswer, StepError, Task, TaskInput, Work};
