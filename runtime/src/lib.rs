//! The runtime room.
#![forbid(unsafe_code)]
