//! `NO_PROXY`: which hosts are reached directly. The rules are those of Go's programs
//! (`golang.org/x/net/http/httpproxy`), on which docker and its users count; reqwest's own know no
//! ports.

use std::net::IpAddr;

use reqwest::Url;

/// What `NO_PROXY` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Direct {
    all: bool,
    rules: Vec<Rule>,
}

/// One part of it.
#[derive(Clone, Debug)]
struct Rule {
    hosts: Hosts,
    /// Only this port; else all.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    /// Addresses that share so many leading bits.
    Network(IpAddr, u32),
    /// What ends in this, which begins with a dot; and maybe what is it without the dot.
    Domain { suffix: String, itself: bool },
}

impl Direct {
    /// Reads a list between commas; what can't be read is left out, as Go does.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.split(',').map(|part| part.trim().to_ascii_lowercase());
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
        Self {
            all: parts.iter().any(|part| part == "*"),
            rules: parts.iter().filter_map(|part| Rule::parse(part)).collect(),
        }
    }

    /// Says whether an address is reached without a proxy. This machine always is.
    pub(super) fn holds(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return true };
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok();
        self.all
            || host == "localhost"
            || ip.is_some_and(|ip| ip.is_loopback())
            || self.rules.iter().any(|rule| rule.holds(&host, ip, url.port_or_known_default()))
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        if let Some((network, bits)) = text.split_once('/') {
            let (network, bits) = (network.parse().ok()?, bits.parse().ok()?);
            let fits = bits <= width(&network);
            return fits.then_some(Self { hosts: Hosts::Network(network, bits), port: None });
        }
        let bare = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address are none before a port.
            _ if bare(text).is_some() => (text, None),
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let hosts = match bare(host) {
            Some(ip) => Hosts::Network(ip, width(&ip)),
            None => {
                let host =
                    host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
                let itself = !host.starts_with('.');
                let suffix = if itself { format!(".{host}") } else { host.to_owned() };
                (suffix.len() > 1).then_some(Hosts::Domain { suffix, itself })?
            }
        };
        Some(Self { hosts, port })
    }

    fn holds(&self, host: &str, ip: Option<IpAddr>, port: Option<u16>) -> bool {
        if self.port.is_some() && self.port != port {
            return false;
        }
        match (&self.hosts, ip) {
            (Hosts::Network(network, bits), Some(ip)) => {
                width(network) == width(&ip) && {
                    let rest = width(&ip) - bits;
                    let leading = |ip: &IpAddr| number(ip).checked_shr(rest).unwrap_or(0);
                    leading(network) == leading(&ip)
                }
            }
            (Hosts::Domain { suffix, itself }, None) => {
                host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..])
            }
            _ => false,
        }
    }
}

/// How many bits an address has.
fn width(ip: &IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn number(ip: &IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(*ip)),
        IpAddr::V6(ip) => u128::from(*ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_excepted_as_by_go() {
        for (list, address, expect) in [
            ("", "http://a.example/", false),
            ("", "http://localhost:5000/", true),
            ("", "http://127.3.2.1/", true),
            ("", "http://[::1]:5000/", true),
            ("*", "http://a.example/", true),
            ("a.example", "http://A.example/", true),
            ("a.example", "http://b.a.example/", true),
            ("a.example", "http://ba.example/", false),
            (".a.example", "http://a.example/", false),
            (".a.example", "http://b.a.example:5000/", true),
            ("*.a.example", "http://b.a.example/", true),
            ("*.a.example", "http://a.example/", false),
            (" x , A.example:5000 ", "http://a.example:5000/", true),
            ("a.example:5000", "http://a.example:5001/", false),
            ("a.example:5000", "http://b.a.example:5000/", true),
            ("a.example:80", "http://a.example/", true),
            ("a.example:443", "https://a.example/", true),
            ("a.example:443", "http://a.example/", false),
            ("a.example:x", "http://a.example/", false),
            ("10.0.0.1", "http://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "http://10.0.0.1:5000/", true),
            ("10.0.0.1:5000", "http://10.0.0.1/", false),
            ("10.0.0.0/8", "http://10.9.8.7/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("10.0.0.0/33", "http://10.0.0.1/", false),
            ("0.0.0.0/0", "http://8.8.8.8/", true),
            ("0.0.0.0/0", "http://[2001:db8::1]/", false),
            ("0.0.0.1/8", "http://a.example/", false),
            ("2001:db8::/32", "http://[2001:db8::5]:5000/", true),
            ("2001:db8::5", "http://[2001:db8::5]/", true),
            ("[2001:db8::5]:5000", "http://[2001:db8::5]:5000/", true),
            ("[2001:db8::5]:5000", "http://[2001:db8::5]/", false),
            ("::/0", "http://[2001:db8::5]/", true),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(Direct::parse(list).holds(&url), expect, "{list} {address}");
        }
    }
}
