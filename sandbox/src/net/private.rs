//! A network namespace with a way out.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::bridge::{Bridge, Port};
use super::pasta::Pasta;
use super::spares::Spares;

/// A prepared network namespace; gone, with its address, when dropped (or with its sandbox).
#[derive(Debug)]
pub struct PrivateNetwork {
    place: Place,
    /// Where it goes when its sandbox has ended.
    spares: Option<Arc<Spares<Place>>>,
}

/// The namespace and what belongs to it; dropped in the order of the fields.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) namespace: OwnedFd,
    pub(super) address: Ipv4Addr,
    pub(super) gateway: Ipv4Addr,
    pub(super) way: Way,
}

/// What packets leave through; dropped in the order of the fields.
#[derive(Debug)]
pub(super) enum Way {
    Bridge { _port: Port, _bridge: Arc<Bridge> },
    Pasta(Pasta),
}

impl Place {
    /// Whether packets still leave: `pasta` may have been killed.
    pub(super) fn is_open(&self) -> bool {
        match &self.way {
            Way::Bridge { .. } => true,
            Way::Pasta(pasta) => pasta.is_running(),
        }
    }
}

impl PrivateNetwork {
    pub(super) fn new(place: Place, spares: Option<Arc<Spares<Place>>>) -> Self {
        Self { place, spares }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.place.address
    }

    /// The next hop; behind the bridge this is the host itself.
    pub fn gateway(&self) -> Ipv4Addr {
        self.place.gateway
    }

    /// Puts this thread, and so what it clones from now on, into the namespace.
    pub(crate) fn enter(&self) -> io::Result<()> {
        let namespace = self.place.namespace.as_fd();
        Ok(move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
    }

    /// Lets another sandbox have it, if it is one of those that are handed on and nothing is left
    /// in it. For the thread that entered it, once the processes in it have ended; they must not
    /// have been able to change it.
    pub(crate) fn give_back(self) {
        if let Some(spares) = self.spares {
            spares.keep(self.place);
        }
    }
}
