//! History: what happened in a build, kept in the store.
//!
//! ```text
//! record     the words of a record; read back for `gantry builds` and `gantry why`
//! recorder   hears the events of a build, and makes a record of them
//! timing     where the time went, worked out from a record
//! log        what a step printed, with times: written by RUN, read back whole
//! ```
//! The record is JSON inside the file that `gantry_cache::Builds` keeps. Of what a build was given
//! only names get into it. Why a step ran may show a variable's or argument's old and new value,
//! unless its name sounds secret ([`gantry_solver::why`]); secrets are in no key, and so in no reason.

mod log;
mod record;
mod recorder;
mod timing;

pub use log::{Chunk, StepLog};
pub use record::{BuildRecord, HistoryError, Outcome, PastBuild, StepRecord, StepStatus};
pub use timing::{StepTime, Timing};

pub(crate) use log::{stamp, write_frame};
pub(crate) use recorder::{Recorder, micros, requested};
