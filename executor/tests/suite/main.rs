//! Builds with real parts: a store on disk, sandboxes, a busybox image.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests say why they skip, and their helpers are theirs alone"
)]

mod common;
mod run;
