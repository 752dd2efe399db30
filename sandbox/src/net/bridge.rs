//! The bridge: made by its first user, removed by its last.
//!
//! ```text
//! <state>/lock            held for every change
//! <state>/bridge          name, subnet and hardware address, written before the bridge is made
//! <state>/users/<n>       locked by each process that uses the bridge
//! <state>/leases/<ip>     see `pool`
//! ```
//!
//! Whoever was killed has left a file that nobody locks: it does not count as a user. If that was
//! between writing `bridge` and making it (or between the two at the end), another store may have
//! the name by now: a bridge is ours only if it has the hardware address that is written there.

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::known::{Known, unique_address};
use super::namespace::New;
use super::netlink::{Netlink, Peer};
use super::pool::{self, Lease, Route, Subnet};
use super::{nat, setup};
use crate::NetworkError;

/// Names are tried from 0: another store on this host may have its own bridge.
const MOST_BRIDGES: u32 = 64;

/// This process's share of the bridge.
#[derive(Debug)]
pub(super) struct Bridge {
    state: PathBuf,
    name: String,
    index: u32,
    subnet: Subnet,
    mtu: u32,
    user: User,
}

/// A file that says, by its lock, that this process uses the bridge.
#[derive(Debug)]
struct User {
    path: PathBuf,
    _file: fs_err::File,
}

/// A sandbox's place on the bridge.
///
/// Its interfaces go with its network namespace, a few milliseconds after the last descriptor and
/// process; deleting them here would wait for the kernel's grace periods (25 ms).
#[derive(Debug)]
pub(super) struct Port {
    lease: Lease,
}

impl Port {
    pub(super) fn address(&self) -> Ipv4Addr {
        self.lease.address
    }
}

impl Bridge {
    /// Joins the bridge of this state directory, or makes it.
    pub(super) fn open(state: &Path) -> Result<Self, NetworkError> {
        let _lock = lock(state)?;
        let alone = sweep_users(state)?;
        let mut netlink = Netlink::open().map_err(setup("open a netlink socket"))?;
        let mtu = uplink_mtu();
        let known = Known::read(state);
        let user = User::new(state)?;
        if let Some(Known { name, subnet, hardware_address }) = known
            && let Ok(link) = netlink.link(&name)
            && link.hardware_address == hardware_address
        {
            let index = link.index;
            if !alone {
                return Ok(Self { state: state.to_owned(), name, index, subnet, mtu, user });
            }
            // A leftover: of whom it is known that he is dead, so its state may be anything.
            netlink.delete(index).map_err(setup(format!("remove `{name}`")))?;
            nat::remove(&name)?;
        }
        let host = HostLock::take()?;
        let subnet = pool::free_subnet()?;
        let name = make(&mut netlink, state, subnet, mtu)?;
        let made = Made { name: &name };
        let index = netlink.index(&name).map_err(setup(format!("find `{name}`")))?;
        netlink
            .add_address(index, subnet.gateway(), subnet.prefix)
            .map_err(setup(format!("give `{name}` an address")))?;
        // From here on, others see a route to the subnet.
        drop(host);
        nat::forward()?;
        nat::add(&name, subnet)?;
        std::mem::forget(made);
        Ok(Self { state: state.to_owned(), name, index, subnet, mtu, user })
    }

    pub(super) fn gateway(&self) -> Ipv4Addr {
        self.subnet.gateway()
    }

    /// Connects a namespace: `eth0` there, with an address and a default route.
    pub(super) fn attach(&self, new: &New) -> Result<Port, NetworkError> {
        use std::os::fd::AsFd;
        let lease = {
            let _lock = lock(&self.state)?;
            pool::take(&self.state, self.subnet)?
        };
        let [a, b, c, d] = lease.address.octets();
        // Unique on this machine: there is one owner of an address on each bridge.
        let name = format!("gve{}x{:02x}{:02x}{:02x}", &self.name[6..], b, c, d);
        let mut netlink = Netlink::open().map_err(setup("open a netlink socket"))?;
        // The address was somebody's a moment ago, whose interface has not gone yet.
        if let Ok(leftover) = netlink.index(&name) {
            let _ = netlink.delete(leftover);
        }
        let peer = Peer {
            name: "eth0",
            // As Docker does: whoever gets the address next is the same to those that knew it.
            hardware_address: [0x02, 0x42, a, b, c, d],
            namespace: new.namespace.as_fd(),
        };
        netlink
            .add_pair(&name, self.index, self.mtu, &peer)
            .map_err(setup(format!("make the interfaces `{name}` and `eth0`")))?;
        let port = Port { lease };
        let mut inside = new.netlink.lock().unwrap_or_else(PoisonError::into_inner);
        let configure = |inside: &mut Netlink| {
            let index = inside.index("eth0")?;
            inside.add_address(index, port.address(), self.subnet.prefix)?;
            inside.raise(index)?;
            inside.add_default_route(index, self.gateway())
        };
        configure(&mut inside).map_err(setup("configure `eth0`"))?;
        Ok(port)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let Ok(_lock) = lock(&self.state) else { return };
        let _ = fs_err::remove_file(&self.user.path);
        if sweep_users(&self.state).is_ok_and(|alone| alone) {
            remove(&self.name);
            let _ = fs_err::remove_file(self.state.join("bridge"));
        }
    }
}

/// Removes a bridge that was not finished.
struct Made<'a> {
    name: &'a str,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        remove(self.name);
    }
}

fn remove(name: &str) {
    let _ = nat::remove(name);
    if let Ok(mut netlink) = Netlink::open()
        && let Ok(index) = netlink.index(name)
    {
        let _ = netlink.delete(index);
    }
}

/// Makes a bridge under the first name that is free.
fn make(
    netlink: &mut Netlink,
    state: &Path,
    subnet: Subnet,
    mtu: u32,
) -> Result<String, NetworkError> {
    let hardware_address = unique_address();
    for number in 0..MOST_BRIDGES {
        let name = format!("gantry{number}");
        if netlink.index(&name).is_ok() {
            continue;
        }
        let known = Known { name: name.clone(), subnet, hardware_address };
        known.write(state).map_err(setup("remember the bridge"))?;
        match netlink.add_bridge(&name, mtu, hardware_address) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            other => return other.map(|()| name.clone()).map_err(setup(format!("make `{name}`"))),
        }
    }
    Err(NetworkError::Unavailable { reason: "all bridge names are taken".to_owned() })
}

fn lock(state: &Path) -> Result<fs_err::File, NetworkError> {
    let file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(state.join("lock"))
        .map_err(setup("open the lock of the network state"))?;
    flock(&file, FlockOperation::LockExclusive).map_err(setup("lock the network state"))?;
    Ok(file)
}

/// Held while a subnet is chosen: stores of the same host know nothing of each other's state.
///
/// A name that only one socket of a network namespace can have, and that goes with its owner.
struct HostLock {
    _socket: UnixDatagram,
}

impl HostLock {
    fn take() -> Result<Self, NetworkError> {
        let name = SocketAddr::from_abstract_name(b"gantry-network")
            .map_err(setup("name the lock of this host's networks"))?;
        let begun = Instant::now();
        loop {
            match UnixDatagram::bind_addr(&name) {
                Ok(socket) => return Ok(Self { _socket: socket }),
                Err(error)
                    if error.kind() == std::io::ErrorKind::AddrInUse
                        && begun.elapsed() < Duration::from_secs(10) =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(setup("lock this host's networks")(error)),
            }
        }
    }
}

impl User {
    fn new(state: &Path) -> Result<Self, NetworkError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = state.join("users").join(format!("{}-{count}", std::process::id()));
        let file = fs_err::File::create(&path).map_err(setup("register with the bridge"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(setup("register with the bridge"))?;
        Ok(Self { path, _file: file })
    }
}

/// Removes the files of users that are gone; returns whether nobody is left.
fn sweep_users(state: &Path) -> Result<bool, NetworkError> {
    let users = state.join("users");
    fs_err::create_dir_all(&users).map_err(setup("make the directory of users"))?;
    let mut alone = true;
    for entry in fs_err::read_dir(&users).map_err(setup("list users"))?.flatten() {
        let path = entry.path();
        let Ok(file) = fs_err::File::open(&path) else { continue };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let _ = fs_err::remove_file(&path);
            }
            Err(_) => alone = false,
        }
    }
    Ok(alone)
}

/// The MTU of the way out: larger packets would be lost on networks that do not say so.
fn uplink_mtu() -> u32 {
    let routes = fs_err::read_to_string("/proc/net/route").unwrap_or_default();
    let mtu = |interface: &str| -> Option<u32> {
        let path = format!("/sys/class/net/{interface}/mtu");
        fs_err::read_to_string(path).ok()?.trim().parse().ok()
    };
    Route::parse_all(&routes)
        .iter()
        .find(|route| route.prefix == 0)
        .and_then(|route| mtu(&route.interface))
        .map_or(1500, |mtu| mtu.clamp(576, 1500))
}
