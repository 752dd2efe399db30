//! Network namespaces that exist without a process in them, held by a descriptor.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::netlink::Netlink;
use crate::sys::raw;

/// A new namespace, and a socket that speaks of it.
pub(super) struct New {
    pub(super) namespace: OwnedFd,
    pub(super) netlink: Mutex<Netlink>,
}

/// Makes one, with `lo` up, in a thread that is gone afterwards; does something else meanwhile, as
/// the kernel takes its time.
pub(super) fn new<T>(meanwhile: impl FnOnce() -> T) -> (io::Result<New>, T) {
    beside(meanwhile, || {
        raw::unshare(libc::CLONE_NEWNET)?;
        raw::raise_loopback()?;
        let namespace = fs_err::File::open("/proc/thread-self/ns/net")?.into_parts().0.into();
        Ok(New { namespace, netlink: Mutex::new(Netlink::open()?) })
    })
}

/// Finds out the address that packets to the outside have, and the next hop.
pub(super) fn address(namespace: &OwnedFd) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
    let (found, ()) = beside(
        || (),
        || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let routes = fs_err::read_to_string("/proc/thread-self/net/route")?;
            let gateway = super::pool::Route::parse_all(&routes)
                .into_iter()
                .find_map(|route| route.gateway.filter(|_| route.prefix == 0))
                .ok_or_else(|| io::Error::other("there is no default route"))?;
            // Connecting a UDP socket sends nothing; it only chooses the route.
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect((gateway, 9))?;
            match socket.local_addr()? {
                SocketAddr::V4(address) => Ok((*address.ip(), gateway)),
                SocketAddr::V6(_) => Err(io::Error::other("an IPv6 address")),
            }
        },
    );
    found
}

/// Works in a thread of its own, which may enter another namespace, while this one does something
/// else.
fn beside<T: Send, M>(
    meanwhile: impl FnOnce() -> M,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> (io::Result<T>, M) {
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        let done = meanwhile();
        let panicked = |_| Err(io::Error::other("the thread has panicked"));
        (working.join().unwrap_or_else(panicked), done)
    })
}
