//! Builds with real parts: a store on disk, sandboxes, a busybox image.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests say why they skip, and their helpers are theirs alone"
)]

#[macro_use]
mod common;
mod cache;
mod contexts;
mod copy;
mod export;
mod git;
mod http;
mod repositories;
mod run;
mod ssh;
mod together;
