//! The image room's tests that need more than one module.
