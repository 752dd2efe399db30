//! The parser room.
#![forbid(unsafe_code)]
