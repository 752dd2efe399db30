//! Addresses that nobody may send us to: the link-local ones, behind which clouds keep credentials.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

/// Returns the link-local address that `url` names instead of a host; `None` if it doesn't.
#[must_use]
pub fn link_local(url: &Url) -> Option<IpAddr> {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
    literal.ok().filter(|address| is_link_local(*address))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
        }
    }
}

/// Resolves names, but not to link-local addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guarded;

impl reqwest::dns::Resolve for Guarded {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| !is_link_local(address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("`{}` has no address to connect to", name.as_str()).into());
            }
            let allowed: reqwest::dns::Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}
