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
mod private;
mod spares;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::{Host, NetworkError};
use bridge::Bridge;
use pasta::Pasta;
use private::{Place, Way};
use spares::Spares;

pub use lone::LoneNetwork;
pub use private::PrivateNetwork;

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
    lone: Arc<Spares<OwnedFd>>,
    places: Arc<Spares<Place>>,
}

impl Networks {
    /// Does nothing yet. `state` is a directory for leases and locks, shared by all processes
    /// that share the bridge; it is made where missing.
    pub fn new(host: &Host, state: impl Into<PathBuf>) -> Self {
        let rootless = host.in_user_namespace() || !host.is_root();
        let (bridge, lone, places) = Default::default();
        Self { state: state.into(), rootless, bridge, lone, places }
    }

    /// Promises a network namespace with nothing but `lo`: a new one, or one whose sandbox has
    /// ended and has left nothing in it.
    pub fn lone(&self) -> LoneNetwork {
        LoneNetwork::new(&self.lone)
    }

    /// Makes a network namespace with an address and a default route.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] where this host offers no way: take [`Network::Host`] and
    /// say so.
    pub fn private(&self) -> Result<PrivateNetwork, NetworkError> {
        Ok(PrivateNetwork::new(self.place()?, None))
    }

    /// The same for the many sandboxes of one build: a new one, or one whose sandbox has ended and
    /// has left nothing in it. Their addresses are nobody else's until this is dropped or
    /// [retired](Self::retire).
    ///
    /// # Errors
    /// As [`private`](Self::private).
    pub fn handed_on(&self) -> Result<PrivateNetwork, NetworkError> {
        let spare = std::iter::from_fn(|| self.places.take()).find(Place::is_open);
        let place = spare.map_or_else(|| self.place(), Ok)?;
        Ok(PrivateNetwork::new(place, Some(Arc::clone(&self.places))))
    }

    /// Takes down what no sandbox is in, as dropping it would, in a thread that what is returned
    /// waits for: the kernel takes its time. It is made anew where it is needed again.
    pub fn retire(&self) -> Retired {
        let bridge = self.bridge.lock().unwrap_or_else(PoisonError::into_inner).take();
        let places: Vec<Place> = std::iter::from_fn(|| self.places.take()).collect();
        let left = (places, bridge);
        if left.0.is_empty() && left.1.is_none() {
            return Retired(None);
        }
        let thread = std::thread::Builder::new().name("gantry-network".to_owned());
        // Where there is none to be had, it is dropped with the closure that was not run.
        Retired(thread.spawn(move || drop(left)).ok())
    }

    fn place(&self) -> Result<Place, NetworkError> {
        let unavailable = |reason| NetworkError::Unavailable { reason };
        fs_err::create_dir_all(&self.state).map_err(setup("make the state directory"))?;
        let available = if self.rootless { pasta_available() } else { bridge_available() };
        available.map_err(unavailable)?;
        if self.rootless { self.behind_pasta() } else { self.behind_bridge() }
    }

    fn behind_pasta(&self) -> Result<Place, NetworkError> {
        let (made, ()) = namespace::new(|| ());
        let namespace = made.map_err(setup("make a network namespace"))?.namespace;
        let way = Way::Pasta(Pasta::start(&namespace, &self.state)?);
        let (address, gateway) =
            namespace::address(&namespace).map_err(setup("read the address"))?;
        Ok(Place { namespace, address, gateway, way })
    }

    fn behind_bridge(&self) -> Result<Place, NetworkError> {
        let (made, bridge) = namespace::new(|| {
            let mut bridge = self.bridge.lock().unwrap_or_else(PoisonError::into_inner);
            match &*bridge {
                Some(bridge) => Ok(bridge.clone()),
                None => Ok(bridge.insert(Arc::new(Bridge::open(&self.state)?)).clone()),
            }
        });
        let (new, bridge) = (made.map_err(setup("make a network namespace"))?, bridge?);
        let port = bridge.attach(&new)?;
        Ok(Place {
            namespace: new.namespace,
            address: port.address(),
            gateway: bridge.gateway(),
            way: Way::Bridge { _port: port, _bridge: bridge },
        })
    }
}

/// Networks that are being taken down; dropping it waits until they are gone.
#[derive(Debug)]
#[must_use = "whoever drops it at once waits at once"]
pub struct Retired(Option<JoinHandle<()>>);

impl Drop for Retired {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic there has been told of.
            let _ = thread.join();
        }
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
