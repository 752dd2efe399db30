//! The tree room.
#![forbid(unsafe_code)]
