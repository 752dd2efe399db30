//! The executor room.
#![forbid(unsafe_code)]
