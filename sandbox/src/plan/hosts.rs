//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a sandbox, as texts.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::{ExtraHost, Network, Spec};

/// What the three files hold.
pub(crate) struct NetworkFiles {
    pub(crate) hosts: String,
    pub(crate) hostname: String,
    pub(crate) resolv_conf: String,
}

/// Writes them for a spec.
pub(crate) fn network_files(spec: &Spec) -> NetworkFiles {
    let (address, gateway) = match &spec.network {
        Network::Private(private) => (Some(private.address()), Some(private.gateway())),
        Network::Host => (None, Some(Ipv4Addr::LOCALHOST)),
        Network::None | Network::Lone(_) => (None, None),
    };
    let shares_host = matches!(spec.network, Network::Host);
    NetworkFiles {
        hosts: hosts(spec, address, gateway),
        hostname: format!("{}\n", spec.hostname),
        resolv_conf: resolv_conf(spec, &host_resolvers(shares_host), shares_host),
    }
}

fn hosts(spec: &Spec, address: Option<Ipv4Addr>, gateway: Option<Ipv4Addr>) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n"
        .to_owned();
    for ExtraHost { name, address } in &spec.extra_hosts {
        // Where no way leads to the host, its name has no address: any would be somebody else's.
        if let Some(address) = address.or(gateway.map(IpAddr::V4)) {
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    if spec.hostname != "localhost" && !spec.hostname.is_empty() {
        let own = address.unwrap_or(Ipv4Addr::LOCALHOST);
        let _ = writeln!(text, "{own}\t{}", spec.hostname);
    }
    text
}

/// The host's file. Where it names nothing but a local forwarder, as systemd-resolved has it, the
/// file in which that keeps the servers it forwards to.
fn host_resolvers(shares_host: bool) -> String {
    let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    let text = read("/etc/resolv.conf");
    let mut servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    if shares_host || servers.any(|server| !is_loopback(server.trim())) {
        return text;
    }
    match read("/run/systemd/resolve/resolv.conf") {
        upstream if upstream.is_empty() => text,
        upstream => upstream,
    }
}

/// The host's, without resolvers that only the host's own namespace reaches.
fn resolv_conf(spec: &Spec, host: &str, shares_host: bool) -> String {
    let mut text = String::new();
    let lines = |key: &'static str| {
        host.lines()
            .map(str::trim)
            .filter_map(move |line| line.strip_prefix(key))
            .filter(|rest| rest.starts_with([' ', '\t']))
            .map(str::trim)
    };
    let search = if spec.dns_search.is_empty() {
        lines("search").chain(lines("domain")).last().unwrap_or_default().to_owned()
    } else {
        spec.dns_search.join(" ")
    };
    if !search.is_empty() && search != "." {
        let _ = writeln!(text, "search {search}");
    }
    let servers: Vec<String> = if spec.dns.is_empty() {
        lines("nameserver")
            .filter(|server| shares_host || !is_loopback(server))
            .map(str::to_owned)
            .collect()
    } else {
        spec.dns.iter().map(ToString::to_string).collect()
    };
    for server in &servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    let options = if spec.dns_options.is_empty() {
        lines("options").collect::<Vec<_>>().join(" ")
    } else {
        spec.dns_options.join(" ")
    };
    if !options.is_empty() {
        let _ = writeln!(text, "options {options}");
    }
    text
}

fn is_loopback(server: &str) -> bool {
    let address = server.split('%').next().unwrap_or(server);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootfsSpec;

    fn spec() -> Spec {
        Spec::new(RootfsSpec::default(), ["true"])
    }

    #[test]
    fn loopback_resolvers_are_left_out() {
        let host = "# x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver ::1\n\
                    search a b\noptions edns0\nnameservers 1.1.1.1\n";
        assert_eq!(
            resolv_conf(&spec(), host, false),
            "search a b\nnameserver 10.0.0.1\noptions edns0\n"
        );
        assert!(resolv_conf(&spec(), host, true).contains("127.0.0.53"));
    }

    #[test]
    fn what_was_asked_for_replaces_the_hosts() {
        let mut spec = spec();
        spec.dns = vec!["9.9.9.9".parse().unwrap()];
        spec.dns_search = vec![".".to_owned()];
        spec.dns_options = vec!["ndots:1".to_owned()];
        assert_eq!(
            resolv_conf(&spec, "nameserver 10.0.0.1\nsearch a\n", false),
            "nameserver 9.9.9.9\noptions ndots:1\n"
        );
    }

    #[test]
    fn extra_hosts_and_the_own_name_are_listed() {
        let mut spec = spec();
        spec.hostname = "box".to_owned();
        spec.extra_hosts = vec![
            ExtraHost { name: "a".to_owned(), address: Some("1.2.3.4".parse().unwrap()) },
            ExtraHost { name: "gw".to_owned(), address: None },
        ];
        let text =
            hosts(&spec, Some(Ipv4Addr::new(172, 17, 0, 2)), Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert!(text.contains("1.2.3.4\ta\n172.17.0.1\tgw\n172.17.0.2\tbox\n"), "{text}");
        let text = hosts(&spec, None, None);
        assert!(text.contains("1.2.3.4\ta\n127.0.0.1\tbox\n") && !text.contains("gw"), "{text}");
    }
}
