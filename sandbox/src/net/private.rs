//! A network namespace with a way out.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::bridge::{Bridge, Port};
use super::pasta::Pasta;
use super::spares::{Spares, is_quiet};

/// A prepared network namespace; gone, with its address, when dropped (or with its sandbox).
#[derive(Debug)]
pub struct PrivateNetwork {
    /// Goes first: what is taken down with the rest lies in the namespace that was left.
    home: Home,
    place: Place,
    /// Where it goes when its sandbox has ended.
    spares: Option<Arc<Spares<Place>>>,
}

/// The namespace that a thread has left for this one; dropping it goes back.
#[derive(Debug, Default)]
struct Home(Option<OwnedFd>);

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(home) = self.0.take() {
            // Refused in a user namespace, where nothing is to be done at home.
            let _ = move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network));
        }
    }
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
        Self { home: Home::default(), place, spares }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.place.address
    }

    /// The next hop; behind the bridge this is the host itself.
    pub fn gateway(&self) -> Ipv4Addr {
        self.place.gateway
    }

    /// Puts this thread, and so what it clones from now on, into the namespace, until this is
    /// dropped or given back.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        let home = fs_err::File::open("/proc/thread-self/ns/net")?;
        self.home = Home(Some(home.into_parts().0.into()));
        let namespace = self.place.namespace.as_fd();
        Ok(move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
    }

    /// Lets another sandbox have it, if it is one of those that are handed on and nothing is left
    /// in it. For the thread that entered it, once the processes in it have ended; they must not
    /// have been able to change it.
    pub(crate) fn give_back(self) {
        let Self { home, place, spares } = self;
        let unchanged = is_quiet();
        drop(home);
        if let Some(spares) = spares.filter(|_| unchanged) {
            spares.keep(place);
        }
    }
}
