//! Which addresses are free: pools against the host's routes, addresses against leases.
//!
//! ```text
//! <state>/leases/172.17.0.2    locked by the process that uses it
//! <state>/last                 the address given out last
//! ```

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::setup;
use crate::NetworkError;

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) base: Ipv4Addr,
    pub(super) prefix: u8,
}

impl Subnet {
    /// The first address: the bridge's.
    pub(super) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits() + 1)
    }

    fn overlaps(self, base: Ipv4Addr, prefix: u8) -> bool {
        let shift = 32 - u32::from(self.prefix.min(prefix));
        let cut = |address: Ipv4Addr| u64::from(address.to_bits()) >> shift;
        cut(self.base) == cut(base)
    }

    /// Reads `172.17.0.0/16`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let subnet = Self { base: base.parse().ok()?, prefix: prefix.parse().ok()? };
        (8..=30).contains(&subnet.prefix).then_some(subnet)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Finds Docker's first pool that no route of the host overlaps.
pub(super) fn free_subnet() -> Result<Subnet, NetworkError> {
    let routes = fs_err::read_to_string("/proc/net/route").map_err(setup("read the routes"))?;
    choose(&Route::parse_all(&routes)).ok_or(NetworkError::NoPool)
}

fn choose(routes: &[Route]) -> Option<Subnet> {
    let large = (17..32).map(|n| Subnet { base: Ipv4Addr::new(172, n, 0, 0), prefix: 16 });
    let small = (0..16).map(|n| Subnet { base: Ipv4Addr::new(192, 168, n << 4, 0), prefix: 20 });
    large.chain(small).find(|subnet| {
        !routes.iter().any(|route| route.prefix > 0 && subnet.overlaps(route.base, route.prefix))
    })
}

/// A line of `/proc/net/route`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) interface: String,
    pub(super) base: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv4Addr>,
}

impl Route {
    pub(super) fn parse_all(text: &str) -> Vec<Self> {
        text.lines().skip(1).filter_map(Self::parse).collect()
    }

    /// `interface destination gateway flags refs use metric mask …`, numbers as they lie in memory.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let address =
            |text: &&str| Some(Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?.to_ne_bytes()));
        let gateway = address(fields.get(2)?)?;
        let mask = address(fields.get(7)?)?;
        Some(Self {
            interface: (*fields.first()?).to_owned(),
            base: address(fields.get(1)?)?,
            prefix: mask.to_bits().count_ones() as u8,
            gateway: (!gateway.is_unspecified()).then_some(gateway),
        })
    }
}

/// An address that this process uses.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    path: PathBuf,
    /// Locked as long as it is open.
    _file: fs_err::File,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // While it is still locked; whoever has opened it by now finds it removed, see `take`.
        let _ = fs_err::remove_file(&self.path);
    }
}

/// Takes the next free address after the one given out last, so that an address rests before it
/// is somebody else's. Call it with the state's lock held.
pub(super) fn take(state: &Path, subnet: Subnet) -> Result<Lease, NetworkError> {
    let leases = state.join("leases");
    fs_err::create_dir_all(&leases).map_err(setup("make the directory of leases"))?;
    let first = subnet.base.to_bits() + 2;
    let last = subnet.base.to_bits() + (1_u32 << (32 - subnet.prefix)) - 2;
    let memory = state.join("last");
    let before = fs_err::read_to_string(&memory)
        .ok()
        .and_then(|text| text.trim().parse::<Ipv4Addr>().ok())
        .map_or(last, Ipv4Addr::to_bits);
    let split = before.saturating_add(1).clamp(first, last + 1);
    for address in (split..=last).chain(first..split).map(Ipv4Addr::from_bits) {
        let path = leases.join(address.to_string());
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(setup(format!("lease `{address}`")))?;
        // A file that its last owner has removed since it was opened here is nobody's lock.
        let is_there = || rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_nlink > 0);
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && is_there() {
            // Forgetting it costs a rest for addresses, no more.
            let _ = fs_err::write(&memory, address.to_string());
            return Ok(Lease { address, path, _file: file });
        }
    }
    Err(NetworkError::PoolFull { subnet: subnet.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
vpn	000012AC	00000000	0001	0	0	0	00F0FFFF	0	0	0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn pools_give_way_to_routes() {
        let routes = Route::parse_all(ROUTES);
        assert_eq!(routes[0].gateway, Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!((routes[1].base, routes[1].prefix), (Ipv4Addr::new(192, 0, 2, 0), 24));
        assert_eq!(choose(&routes).unwrap().to_string(), "172.19.0.0/16");
        let all = Route { prefix: 4, base: Ipv4Addr::new(160, 0, 0, 0), ..routes[0].clone() };
        assert_eq!(choose(&[all]).unwrap().to_string(), "192.168.0.0/20");
    }

    #[test]
    fn an_address_has_one_owner_and_is_free_afterwards() {
        let state = tempfile::tempdir().unwrap();
        let subnet = Subnet::parse("10.0.0.0/30").unwrap();
        let first = take(state.path(), subnet).unwrap();
        assert_eq!(first.address, Ipv4Addr::new(10, 0, 0, 2));
        assert!(matches!(take(state.path(), subnet), Err(NetworkError::PoolFull { .. })));
        drop(first);
        assert_eq!(take(state.path(), subnet).unwrap().address, Ipv4Addr::new(10, 0, 0, 2));
        let subnet = Subnet::parse("10.0.0.0/29").unwrap();
        let order =
            [3, 4, 5, 6, 2, 3].map(|_| take(state.path(), subnet).unwrap().address.octets()[3]);
        assert_eq!(order, [3, 4, 5, 6, 2, 3], "an address rests as long as there are others");
    }
}
