//! The store, used as builds use it: by many handles, by many processes, by processes that die.

mod blobs;
mod builds;
mod contexts;
mod crash;
mod fsck;
mod full_disk;
mod images;
mod layers;
mod leases;
mod locks;
mod mounts;
mod open;
mod prune;
mod records;
mod support;
mod usage;
mod worker;
