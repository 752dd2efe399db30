//! The tests that run the binary.

