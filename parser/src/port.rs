//! Ports of EXPOSE (B4-19).

use std::fmt;

use crate::go::quote;

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

/// Why a text is no port. Displays as BuildKit says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    message: String,
    reason: Option<String>,
    hint: &'static str,
}

impl PortError {
    /// What is wrong with the numbers, in the words of docker's port parser, which BuildKit keeps
    /// to itself: `value out of range (0–65535)`, `invalid port range: 90-80`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

/// What a port may look like.
const FORM: &str =
    "Write a port or a range, maybe with a protocol: `80`, `53/udp`, `8000-8010/tcp`";

fn error(message: String, hint: &'static str) -> PortError {
    PortError { message, reason: None, hint }
}

/// Reads one expanded word: `port`, `first-last`, with `/protocol` behind it.
///
/// An address and a host port in front (`127.0.0.1:80:80`) must make sense, then are dropped.
///
/// # Errors
/// `invalid containerPort: x`, `invalid port: "x": invalid proto: y`, `invalid hostPort: x`, …
pub fn parse(text: &str) -> Result<Ports, PortError> {
    let (host, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    if container.is_empty() {
        return Err(error(format!("invalid port: {}: no port specified", quote(text)), FORM));
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => {
            let message = format!("invalid port: {}: invalid proto: {protocol}", quote(text));
            return Err(error(message, "Protocols are tcp, udp and sctp"));
        }
    };
    let (ip, host) = host.rsplit_once(':').unwrap_or(("", host));
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !ip.is_empty() && bare.parse::<std::net::IpAddr>().is_err() {
        let message = format!("invalid IP address: {ip}");
        return Err(error(message, "Leave the address out: EXPOSE names ports of the container"));
    }
    let (first, last) = range(container).map_err(|reason| PortError {
        message: format!("invalid containerPort: {container}"),
        reason: Some(reason),
        hint: FORM,
    })?;
    if !host.is_empty() {
        const ONLY_THE_CONTAINER: &str =
            "Leave the host's port out: EXPOSE names ports of the container";
        let (low, high) = range(host).map_err(|reason| PortError {
            message: format!("invalid hostPort: {host}"),
            reason: Some(reason),
            hint: ONLY_THE_CONTAINER,
        })?;
        if first != last && last - first != high - low {
            let message = format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            );
            return Err(error(message, ONLY_THE_CONTAINER));
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

/// `port` or `first-last`; an error is docker's text.
fn range(text: &str) -> Result<(u16, u16), String> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let first = port(start).map_err(|why| format!("invalid start port '{start}': {why}"))?;
    let last = port(end).map_err(|why| format!("invalid end port '{end}': {why}"))?;
    if last < first {
        return Err(format!("invalid port range: {text}"));
    }
    Ok((first, last))
}

fn port(text: &str) -> Result<u16, &'static str> {
    const OUT_OF_RANGE: &str = "value out of range (0–65535)";
    if text.is_empty() {
        return Err("value is empty");
    }
    match text.parse::<i64>() {
        Ok(number) => u16::try_from(number).map_err(|_| OUT_OF_RANGE),
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                Err("value out of range")
            }
            _ => Err("invalid syntax"),
        },
    }
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
        check("80/xyZ", Err("invalid port: \"80/xyZ\": invalid proto: xyZ"));
        check("x:80", Err("invalid hostPort: x"));
        check("1.2.3:80:80", Err("invalid IP address: 1.2.3"));
        check("", Err("invalid port: \"\": no port specified"));
    }

    #[test]
    fn numbers_are_refused_in_dockers_words() {
        for (word, reason) in [
            ("70000", "invalid start port '70000': value out of range (0–65535)"),
            ("-1", "invalid start port '': value is empty"),
            ("90-80", "invalid port range: 90-80"),
            ("80-70000", "invalid end port '70000': value out of range (0–65535)"),
            ("abc", "invalid start port 'abc': invalid syntax"),
            ("80-", "invalid end port '': value is empty"),
            (
                "99999999999999999999",
                "invalid start port '99999999999999999999': value out of range",
            ),
        ] {
            let error = parse(word).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid containerPort: {word}"));
            assert_eq!(error.reason(), Some(reason));
        }
    }
}
