//! The cache room.
#![forbid(unsafe_code)]
