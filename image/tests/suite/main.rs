//! The image room's tests that need more than one module, other programs, or root.

mod archive;
mod archive_hostile;
mod archive_peers;
mod compress;
mod hostile;
mod mountable;
mod packing;
mod peers;
mod registry;
mod roundtrip;
mod support;
