//! The few rtnetlink messages that a bridge needs (rtnetlink(7)).
//!
//! ```text
//! header: length u32, type u16, flags u16, sequence u32, port u32
//! body:   a fixed struct of the type, then attributes: length u16, type u16, value, padding to 4
//! ```

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

const ERROR: u16 = 2;
const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const NESTED: u16 = 0x8000;

// IFLA_*
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const NETWORK_NAMESPACE_FD: u16 = 28;
// IFLA_INFO_*
const KIND: u16 = 1;
const DATA: u16 = 2;
const VETH_PEER: u16 = 1;
// IFA_*
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
// RTA_*
const RTA_INTERFACE: u16 = 4;
const RTA_GATEWAY: u16 = 5;

/// A socket that speaks of the network namespace it was made in.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// What tells an interface from others that had or will have its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) hardware_address: [u8; 6],
}

/// One end of a pair of interfaces.
pub(super) struct Peer<'a> {
    pub(super) name: &'a str,
    pub(super) hardware_address: [u8; 6],
    pub(super) namespace: BorrowedFd<'a>,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        // Protocol 0 is NETLINK_ROUTE.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Whether the kernel would let us change interfaces: it checks before it looks for the
    /// (impossible) one that this asks to delete.
    pub(super) fn may_configure(&mut self) -> bool {
        let mut message = Message::new(DELETE_LINK, 0);
        message.link(i32::MAX, 0);
        let refused = Some(libc::EPERM);
        self.ask(message).is_err_and(|error| error.raw_os_error() != refused)
    }

    /// Makes a bridge. `EEXIST` if there is such an interface.
    pub(super) fn add_bridge(
        &mut self,
        name: &str,
        mtu: u32,
        hardware_address: [u8; 6],
    ) -> io::Result<()> {
        let mut message = Message::new(NEW_LINK, CREATE | EXCLUSIVE);
        message.link(0, IFF_UP);
        message.text(NAME, name);
        message.attribute(MTU, &mtu.to_ne_bytes());
        message.attribute(ADDRESS, &hardware_address);
        message.nested(LINK_INFO, |info| info.text(KIND, "bridge"));
        self.ask(message).map(drop)
    }

    /// Makes a pair: `name` here, up and in the bridge `master`; `peer` in its namespace.
    pub(super) fn add_pair(
        &mut self,
        name: &str,
        master: u32,
        mtu: u32,
        peer: &Peer<'_>,
    ) -> io::Result<()> {
        let mut message = Message::new(NEW_LINK, CREATE | EXCLUSIVE);
        message.link(0, IFF_UP);
        message.text(NAME, name);
        message.attribute(MTU, &mtu.to_ne_bytes());
        message.attribute(MASTER, &master.to_ne_bytes());
        message.nested(LINK_INFO, |info| {
            info.text(KIND, "veth");
            info.nested(DATA, |data| {
                data.nested(VETH_PEER, |end| {
                    end.link(0, 0);
                    end.text(NAME, peer.name);
                    end.attribute(MTU, &mtu.to_ne_bytes());
                    end.attribute(ADDRESS, &peer.hardware_address);
                    let namespace = peer.namespace.as_raw_fd();
                    end.attribute(NETWORK_NAMESPACE_FD, &namespace.to_ne_bytes());
                });
            });
        });
        self.ask(message).map(drop)
    }

    /// Deletes an interface; its peer goes with it.
    pub(super) fn delete(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(DELETE_LINK, 0);
        message.link(index.cast_signed(), 0);
        self.ask(message).map(drop)
    }

    /// Finds an interface by name.
    pub(super) fn index(&mut self, name: &str) -> io::Result<u32> {
        let answer = self.get(name)?;
        let index = answer.get(4..8).and_then(|bytes| bytes.try_into().ok());
        index.map(u32::from_ne_bytes).ok_or_else(malformed)
    }

    /// The same with the hardware address; only for interfaces that have one, as bridges do.
    pub(super) fn link(&mut self, name: &str) -> io::Result<Link> {
        let answer = self.get(name)?;
        let index = answer.get(4..8).and_then(|bytes| bytes.try_into().ok());
        let index = index.map(u32::from_ne_bytes).ok_or_else(malformed)?;
        let hardware_address = attribute(answer.get(16..).unwrap_or_default(), ADDRESS)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(malformed)?;
        Ok(Link { index, hardware_address })
    }

    fn get(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let mut message = Message::new(GET_LINK, 0);
        message.link(0, 0);
        message.text(NAME, name);
        self.ask(message)
    }

    /// Brings an interface up.
    pub(super) fn raise(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(NEW_LINK, 0);
        message.link(index.cast_signed(), IFF_UP);
        self.ask(message).map(drop)
    }

    /// Gives an interface an address.
    pub(super) fn add_address(
        &mut self,
        index: u32,
        address: Ipv4Addr,
        prefix: u8,
    ) -> io::Result<()> {
        let mut message = Message::new(NEW_ADDRESS, CREATE | EXCLUSIVE);
        message.bytes.extend([AF_INET, prefix, 0, 0]);
        message.bytes.extend(index.to_ne_bytes());
        message.attribute(IFA_LOCAL, &address.octets());
        message.attribute(IFA_ADDRESS, &address.octets());
        self.ask(message).map(drop)
    }

    /// Sets the default route.
    pub(super) fn add_default_route(&mut self, index: u32, gateway: Ipv4Addr) -> io::Result<()> {
        const TABLE_MAIN: u8 = 254;
        const PROTOCOL_BOOT: u8 = 3;
        const UNICAST: u8 = 1;
        let mut message = Message::new(NEW_ROUTE, CREATE | EXCLUSIVE);
        message.bytes.extend([AF_INET, 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, 0, UNICAST]);
        message.bytes.extend([0; 4]);
        message.attribute(RTA_GATEWAY, &gateway.octets());
        message.attribute(RTA_INTERFACE, &index.to_ne_bytes());
        self.ask(message).map(drop)
    }

    /// Sends a request and returns the body of its answer; empty if that is "done".
    fn ask(&mut self, message: Message) -> io::Result<Vec<u8>> {
        self.sequence += 1;
        let bytes = message.finish(self.sequence);
        sendto(&self.socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut body = Vec::new();
        let mut buffer = vec![0_u8; 32 << 10];
        loop {
            let length = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for answer in Answers(&buffer[..length]) {
                if answer.sequence != self.sequence {
                    continue;
                }
                if answer.kind != ERROR {
                    body = answer.body.to_vec();
                    continue;
                }
                let code = answer.body.get(..4).and_then(|bytes| bytes.try_into().ok());
                return match code.map(i32::from_ne_bytes) {
                    Some(0) => Ok(body),
                    Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
                    None => Err(malformed()),
                };
            }
        }
    }
}

fn malformed() -> io::Error {
    io::Error::other("a malformed answer")
}

/// Finds an attribute in what follows the fixed part of an answer.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

/// A request being written.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST | ACK).to_ne_bytes());
        bytes.extend([0; 8]);
        Self { bytes }
    }

    /// `struct ifinfomsg`.
    fn link(&mut self, index: i32, flags: u32) {
        self.bytes.extend([0; 4]);
        self.bytes.extend(index.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes()); // Which of the flags are meant.
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, &[value.as_bytes(), b"\0"].concat());
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

struct Answer<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

/// The messages of one datagram.
struct Answers<'a>(&'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.0.get(..16)?;
        let length = u32::from_ne_bytes(header[..4].try_into().ok()?) as usize;
        let body = self.0.get(16..length)?;
        let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
        let sequence = u32::from_ne_bytes(header[8..12].try_into().ok()?);
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Answer { kind, sequence, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_laid_out_as_the_kernel_reads_them() {
        let mut message = Message::new(NEW_LINK, CREATE);
        message.nested(LINK_INFO, |info| info.text(KIND, "veth"));
        let bytes = message.finish(7);
        assert_eq!(bytes.len(), 16 + 4 + 12);
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()), 32);
        assert_eq!(&bytes[16..20], [16, 0, 18, 0x80], "a nested attribute counts its content");
        assert_eq!(&bytes[20..29], [9, 0, 1, 0, b'v', b'e', b't', b'h', 0]);
    }

    #[test]
    fn malformed_answers_end_the_list() {
        assert_eq!(Answers(&[1, 2, 3]).count(), 0);
        let mut endless = [0_u8; 16];
        endless[0] = 4; // Shorter than its own header.
        assert_eq!(Answers(&endless).count(), 0);
    }

    #[test]
    fn the_kernel_knows_lo() {
        let mut socket = Netlink::open().unwrap();
        assert_eq!(socket.index("lo").unwrap(), 1);
        let error = socket.index("gantry-none").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
