//! Every unsafe line of the workspace: thin, dull wrappers around system calls.
//!
//! What `rustix` has is called through it, elsewhere. Here is what it lacks, or cannot call safe.
//!
//! - [`clone`]: a child that shares memory with the parent until it executes something.
//! - [`program`]: what that child does. Allocates nothing, takes no lock, returns only to fail.
//!   Parts of it: [`mounting`], [`executable`], [`strings`]; how it ended: [`outcome`].
//! - [`keeper`]: a child that holds a helper program and dies with gantry.
//! - [`raw`]: single calls, usable in such a child.
//! - [`signal`]: handlers that forward signals to another process.

pub(crate) mod clone;
mod executable;
pub(crate) mod keeper;
pub(crate) mod mounting;
pub(crate) mod outcome;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod signal;
pub(crate) mod strings;
