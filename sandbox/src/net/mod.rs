//! What of the network a sandbox sees.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::{Host, NetworkError};

/// What of the network a sandbox sees.
#[derive(Debug, Default)]
pub enum Network {
    /// A namespace with nothing but `lo`, which is up.
    #[default]
    None,
    /// The host's own namespace.
    Host,
    /// A namespace of its own with a way out.
    Private(PrivateNetwork),
}

/// Makes private networks: as root behind the bridge `gantry0` with NAT, else through `pasta`.
///
/// Keep one for a whole build: the bridge is made by the first [`private`](Self::private) and
/// removed when the last process that uses it is done with it.
#[derive(Debug)]
pub struct Networks {}

impl Networks {
    /// Does nothing yet. `state` is a directory for leases and locks, shared by all processes
    /// that share the bridge; it is made where missing.
    pub fn new(host: &Host, state: impl Into<PathBuf>) -> Self {
        let _ = (host, state.into());
        todo!()
    }

    /// Makes a network namespace with an address and a default route.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] where this host offers no way: take [`Network::Host`] and
    /// say so.
    pub fn private(&self) -> Result<PrivateNetwork, NetworkError> {
        todo!()
    }
}

/// A prepared network namespace; gone, with its address, when dropped (or with its sandbox).
#[derive(Debug)]
pub struct PrivateNetwork {}

impl PrivateNetwork {
    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        todo!()
    }

    pub(crate) fn namespace(&self) -> std::os::fd::BorrowedFd<'_> {
        todo!()
    }

    /// The host as seen from inside.
    pub fn gateway(&self) -> Ipv4Addr {
        todo!()
    }
}

pub(crate) fn bridge_available() -> Result<(), String> {
    todo!()
}
pub(crate) fn pasta_available() -> Result<(), String> {
    todo!()
}
pub(crate) fn find_program(_: &str) -> Option<PathBuf> {
    todo!()
}
