//! The one test binary of the room: every file here is a module below.
#![allow(unused_crate_dependencies, reason = "the crate's own dependencies are not all used here")]

mod toys;

mod cancel;
mod failure;
mod keys;
mod lookup;
mod lower;
mod random;
mod schedule;
mod sharing;
