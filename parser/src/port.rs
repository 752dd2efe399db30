//! Ports of EXPOSE (B4-19).

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

/// Why a text is no port. Displays as docker says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PortError(String);

/// Reads one expanded word; parts before the last `:` (ip, host port) are dropped.
///
/// # Errors
/// `invalid containerPort: x`, `invalid proto: x`, `invalid port range: x`, …
pub fn parse(_text: &str) -> Result<Ports, PortError> {
    todo!()
}

/// Reads several expanded words into the keys of `Config.ExposedPorts`, sorted, ranges expanded:
/// `80/tcp`, `81/tcp`.
///
/// # Errors
/// As [`parse`], at the first bad one.
pub fn parse_all<S: AsRef<str>>(_words: &[S]) -> Result<Vec<String>, PortError> {
    todo!()
}
