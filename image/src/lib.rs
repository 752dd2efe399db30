//! The image room.
#![forbid(unsafe_code)]
