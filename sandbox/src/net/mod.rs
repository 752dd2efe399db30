//! What of the network a sandbox sees.
//!
//! As root: a bridge with NAT, and a pair of interfaces for each sandbox ([`bridge`], [`pool`],
//! [`nat`]). In a user namespace: [`pasta`], which carries packets over sockets. Both prepare a
//! network namespace before the sandbox starts, which the sandbox then joins.
//!
//! Netlink messages are written by hand ([`netlink`]): five kinds of them, each a dozen lines,
//! against a crate that brings an async runtime of its own.

mod bridge;
mod known;
mod lone;
mod namespace;
mod nat;
mod netlink;
mod pasta;
mod pool;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Host, NetworkError};
use bridge::{Bridge, Port};
use lone::Spares;
use pasta::Pasta;

pub use lone::LoneNetwork;

/// What of the network a sandbox sees.
#[derive(Debug, Default)]
pub enum Network {
    /// A namespace with nothing but `lo`, which is up.
    #[default]
    None,
    /// The same, for the many sandboxes of one build: one gets what another is done with.
    Lone(LoneNetwork),
    /// The host's own namespace.
    Host,
    /// A namespace of its own with a way out.
    Private(PrivateNetwork),
}

/// Makes private networks: as root behind the bridge `gantry0` with NAT, else through `pasta`.
///
/// Keep one for a whole build: the bridge is made by the first [`private`](Self::private) and
/// removed when the last process that uses it is done with it. Turns `net.ipv4.ip_forward` on
/// where it is off, and leaves it on, as others may have come to rely on it.
#[derive(Debug)]
pub struct Networks {
    state: PathBuf,
    rootless: bool,
    bridge: Mutex<Option<Arc<Bridge>>>,
    spares: Arc<Spares>,
}

impl Networks {
    /// Does nothing yet. `state` is a directory for leases and locks, shared by all processes
    /// that share the bridge; it is made where missing.
    pub fn new(host: &Host, state: impl Into<PathBuf>) -> Self {
        let rootless = host.in_user_namespace() || !host.is_root();
        Self { state: state.into(), rootless, bridge: Mutex::default(), spares: Arc::default() }
    }

    /// Promises a network namespace with nothing but `lo`: a new one, or one whose sandbox has
    /// ended and has left nothing in it.
    pub fn lone(&self) -> LoneNetwork {
        LoneNetwork::new(&self.spares)
    }

    /// Makes a network namespace with an address and a default route.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] where this host offers no way: take [`Network::Host`] and
    /// say so.
    pub fn private(&self) -> Result<PrivateNetwork, NetworkError> {
        let unavailable = |reason| NetworkError::Unavailable { reason };
        fs_err::create_dir_all(&self.state).map_err(setup("make the state directory"))?;
        let new = namespace::new().map_err(setup("make a network namespace"))?;
        if self.rootless {
            pasta_available().map_err(unavailable)?;
            let pasta = Pasta::start(&new.namespace, &self.state)?;
            let (address, gateway) =
                namespace::address(&new.namespace).map_err(setup("read the address"))?;
            let way = Way::Pasta { _pasta: pasta };
            return Ok(PrivateNetwork { namespace: new.namespace, address, gateway, _way: way });
        }
        bridge_available().map_err(unavailable)?;
        let bridge = {
            let mut bridge = self.bridge.lock().unwrap_or_else(PoisonError::into_inner);
            match &*bridge {
                Some(bridge) => bridge.clone(),
                None => bridge.insert(Arc::new(Bridge::open(&self.state)?)).clone(),
            }
        };
        let port = bridge.attach(&new)?;
        Ok(PrivateNetwork {
            namespace: new.namespace,
            address: port.address(),
            gateway: bridge.gateway(),
            _way: Way::Bridge { _port: port, _bridge: bridge },
        })
    }
}

/// A prepared network namespace; gone, with its address, when dropped (or with its sandbox).
#[derive(Debug)]
pub struct PrivateNetwork {
    namespace: OwnedFd,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    _way: Way,
}

/// What packets leave through; dropped in the order of the fields.
#[derive(Debug)]
enum Way {
    Bridge { _port: Port, _bridge: Arc<Bridge> },
    Pasta { _pasta: Pasta },
}

impl PrivateNetwork {
    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The next hop; behind the bridge this is the host itself.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    pub(crate) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

fn setup<E: Into<std::io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> NetworkError {
    |cause| NetworkError::Setup { what: what.into(), cause: cause.into() }
}

/// Whether the bridge with NAT can be made; else why not.
pub(crate) fn bridge_available() -> Result<(), String> {
    let mut socket = netlink::Netlink::open().map_err(|error| format!("no netlink: {error}"))?;
    if !socket.may_configure() {
        return Err("interfaces cannot be made here (no CAP_NET_ADMIN)".to_owned());
    }
    if find_program("nft").is_none() {
        return Err("`nft` is not installed (package `nftables`)".to_owned());
    }
    Ok(())
}

/// Whether `pasta` can give a network; else why not.
pub(crate) fn pasta_available() -> Result<(), String> {
    if find_program("pasta").is_none() {
        return Err("`pasta` is not installed (package `passt`)".to_owned());
    }
    fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map(drop)
        .map_err(|error| format!("/dev/net/tun cannot be opened: {error}"))
}

/// Finds a program of the host, also where only root's PATH leads.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_absolute()
        && path.is_file()
        && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
