//! Signal names for STOPSIGNAL and `kill` (B4-24).

use crate::go::parse_uint;

/// Linux numbers (x86, arm); the first name of a number is the one that [`name`] gives.
const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// First and last real-time signal as glibc counts them.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Why a text names no signal. Displays as docker says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct SignalError(pub String);

impl SignalError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let wanted = self.0.to_uppercase();
        let bare = wanted.strip_prefix("SIG").unwrap_or(&wanted);
        // Short names are near to everything; whoever mistypes one mostly has its first letter.
        let alike = NAMES.iter().map(|(name, _)| *name).filter(|n| bare.starts_with(&n[..1]));
        match crate::did_you_mean(bare, alike, true) {
            Some(near) => format!("Did you mean `SIG{near}`?"),
            None => "Name it as in `SIGTERM`, or give its number, from 1 to 64".to_owned(),
        }
    }
}

/// The number of a Linux signal: `9`, `KILL`, `SIGKILL`, in any case; `RTMIN+3`, `RTMAX-1` too.
///
/// # Errors
/// A name or number that Linux does not have.
pub fn parse(text: &str) -> Result<i32, SignalError> {
    let invalid = || SignalError(text.to_owned());
    if let Some(number) = parse_uint(text, 10, RTMAX as u64) {
        return if number == 0 { Err(invalid()) } else { Ok(number as i32) };
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |digits: &str| parse_uint(digits, 10, 30).map(|n| n as i32);
    let number = match name {
        "RTMIN" => Some(RTMIN),
        "RTMAX" => Some(RTMAX),
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(digits), _) => offset(digits).map(|n| RTMIN + n),
            (_, Some(digits)) => offset(digits).map(|n| RTMAX - n),
            _ => NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number),
        },
    };
    number.ok_or_else(invalid)
}

/// The name of signal `number` with `SIG`, or `None` if there is no such signal.
#[must_use]
pub fn name(number: i32) -> Option<String> {
    match number {
        RTMIN => Some("SIGRTMIN".to_owned()),
        n if n > RTMIN && n <= RTMAX => Some(format!("SIGRTMIN+{}", n - RTMIN)),
        n => NAMES.iter().find(|(_, known)| *known == n).map(|(name, _)| format!("SIG{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("SIGTERM"), Ok(15));
        assert_eq!(parse("kill"), Ok(9));
        assert_eq!(parse("SigRtMin+3"), Ok(37));
        assert_eq!(parse("RTMAX-1"), Ok(63));
        assert_eq!(parse("9"), Ok(9));
        for bad in ["0", "65", "FOO", "", "SIG", "-9", "RTMIN+31"] {
            assert_eq!(parse(bad).unwrap_err().to_string(), format!("invalid signal: {bad}"));
        }
    }

    #[test]
    fn every_name_leads_back() {
        for number in (1..=31).chain(RTMIN..=RTMAX) {
            assert_eq!(parse(&name(number).unwrap()), Ok(number));
        }
        assert_eq!(name(33), None);
    }
}
