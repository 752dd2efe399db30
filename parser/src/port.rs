//! Ports of EXPOSE (B4-19).

use std::fmt;

use crate::go::parse_uint;

/// A port range with its protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// Last port, not smaller.
    pub last: u16,
    /// tcp, udp or sctp.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "the protocols' own names")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Why a text is no port. Displays as docker says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PortError(String);

/// Reads one expanded word: `port`, `first-last`, with `/protocol` behind it.
///
/// An address and a host port in front (`127.0.0.1:80:80`) must make sense, then are dropped.
///
/// # Errors
/// `invalid containerPort: x`, `invalid proto: x`, `invalid hostPort: x`, …
pub fn parse(text: &str) -> Result<Ports, PortError> {
    let (host, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    if container.is_empty() {
        return Err(PortError(format!("no port specified: {text}<empty>")));
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        other => return Err(PortError(format!("invalid proto: {other}"))),
    };
    let (ip, host) = host.rsplit_once(':').unwrap_or(("", host));
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !ip.is_empty() && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(PortError(format!("invalid IP address: {ip}")));
    }
    let (first, last) =
        range(container).ok_or_else(|| PortError(format!("invalid containerPort: {container}")))?;
    if !host.is_empty() {
        let (low, high) =
            range(host).ok_or_else(|| PortError(format!("invalid hostPort: {host}")))?;
        if first != last && last - first != high - low {
            return Err(PortError(format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            )));
        }
    }
    Ok(Ports { first, last, protocol })
}

/// Reads several expanded words into keys of `Config.ExposedPorts`, in their order, with ranges
/// expanded: `80/tcp`, `81/tcp`.
///
/// # Errors
/// As [`parse`], at the first bad one.
pub fn parse_all<S: AsRef<str>>(words: &[S]) -> Result<Vec<String>, PortError> {
    let mut keys = Vec::new();
    for word in words {
        let ports = parse(word.as_ref())?;
        keys.extend((ports.first..=ports.last).map(|port| format!("{port}/{}", ports.protocol)));
    }
    Ok(keys)
}

fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text| parse_uint(text, 10, u16::MAX.into()).map(|port| port as u16);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expect: Result<&[&str], &str>) {
        let got = parse_all(&[word]).map_err(|e| e.to_string());
        assert_eq!(
            got,
            expect
                .map(|keys| keys.iter().map(|k| (*k).to_owned()).collect())
                .map_err(str::to_owned)
        );
    }

    #[test]
    fn ports_ranges_and_protocols() {
        check("80", Ok(&["80/tcp"]));
        check("53/UDP", Ok(&["53/udp"]));
        check("7000-7002/sctp", Ok(&["7000/sctp", "7001/sctp", "7002/sctp"]));
        check("127.0.0.1:8080:80", Ok(&["80/tcp"]));
        check("[::1]:8080:80", Ok(&["80/tcp"]));
        check("8080:80/udp", Ok(&["80/udp"]));
        check("65535", Ok(&["65535/tcp"]));
    }

    #[test]
    fn says_what_is_wrong() {
        check("abc", Err("invalid containerPort: abc"));
        check("65536", Err("invalid containerPort: 65536"));
        check("9-8", Err("invalid containerPort: 9-8"));
        check("1-2-3", Err("invalid containerPort: 1-2-3"));
        check("80/xyz", Err("invalid proto: xyz"));
        check("x:80", Err("invalid hostPort: x"));
        check("1.2.3:80:80", Err("invalid IP address: 1.2.3"));
        check("", Err("no port specified: <empty>"));
    }
}
