//! What a sandbox does, seen from inside and from the host.
//!
//! Needs root (or a user namespace) and overlay; a test that cannot run here says why, and panics
//! instead if `GANTRY_TEST_REQUIRE` names what it lacks.

#![allow(clippy::print_stderr, reason = "skips are told on stderr")]

mod basics;
mod host;
mod lifetime;
mod mounts;
mod network;
mod support;
mod terminal;
mod userns;
mod users;
mod walls;
