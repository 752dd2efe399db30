//! The grammar of names: what `github.com/distribution/reference` says in regular expressions.

use super::ParseReferenceError;
use crate::digest::Digest;

/// `host[:port]`; host = labels between dots, or an IPv6 address in brackets.
pub(super) fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let address_ok =
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            if !address_ok {
                return false;
            }
            match rest {
                "" => return true,
                _ => ("x", rest.strip_prefix(':')),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("0")),
        },
    };
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    host.split('.').all(label) && port.is_some_and(number)
}

/// Components of `[a-z0-9]+` joined by `.`, `_`, `__` or any number of `-`.
pub(super) fn is_path(text: &str) -> bool {
    text.split('/').all(|component| {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = component.as_bytes();
        let mut at = 0;
        loop {
            let word = bytes[at..].iter().take_while(|&&b| alphanumeric(b)).count();
            if word == 0 {
                return false;
            }
            at += word;
            at += match &bytes[at..] {
                [] => return true,
                [b'_', b'_', ..] => 2,
                [b'.' | b'_', ..] => 1,
                [b'-', ..] => bytes[at..].iter().take_while(|&&b| b == b'-').count(),
                _ => return false,
            };
        }
    })
}

/// A word character, then up to 127 of those, `.` and `-`.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len())
        && word(bytes[0])
        && bytes.iter().all(|&b| word(b) || matches!(b, b'.' | b'-'))
}

pub(super) fn parse_digest(text: &str) -> Result<Digest, ParseReferenceError> {
    let (algorithm, hex) = text.split_once(':').ok_or(ParseReferenceError::Format)?;
    let algorithm_ok = algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if !algorithm_ok || hex.len() < 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ParseReferenceError::Format);
    }
    text.parse().map_err(|_| ParseReferenceError::Digest)
}
