//! Nothing in here: the targets are the tests beside it.
//!
//! Each test of `tests/targets.rs` first reads its examples as they are (`corpus/<target>/`, for the
//! parser the cases of `testdata/parser`), and then changed ones and noise: for a second, or for as
//! long as `scripts/fuzz SECONDS` says. Whatever fails once becomes an example.
#![forbid(unsafe_code)]
