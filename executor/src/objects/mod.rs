//! Caches where nothing but names and bytes is known: `type=s3` and `type=gha`.
//!
//! ```text
//! s3/       buckets of S3 and of what speaks like it
//! gha/      the cache service of GitHub Actions
//! reach     how both are reached, as a caller sees it who waits
//! pieces    a blob on its way out, piece by piece
//! said      what they say about errors
//! ```
//!
//! Names are BuildKit's, so that each finds what the other wrote. What is secret, and that are signed
//! addresses too, is in no error.

mod gha;
mod pieces;
mod reach;
mod s3;
mod said;

pub(crate) use self::gha::GhaCache;
pub use self::gha::{GhaPlace, GhaVersion};
pub(crate) use self::s3::S3Cache;
pub use self::s3::{S3Keys, S3Place};

/// More is no document.
const DOCUMENT: u64 = 32 << 20;

/// More is no answer of an API.
const ANSWER: u64 = 1 << 20;
