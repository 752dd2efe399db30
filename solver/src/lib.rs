//! The solver room.
#![forbid(unsafe_code)]
