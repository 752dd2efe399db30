//! Signal names for STOPSIGNAL and kill (B4-24).

/// Why a text names no signal. Displays as docker says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct SignalError(pub String);

/// The number of a Linux signal: `9`, `KILL`, `SIGKILL`, any case, `RTMIN+3` too.
///
/// # Errors
/// A name or number that Linux does not have.
pub fn parse(_text: &str) -> Result<i32, SignalError> {
    todo!()
}

/// The name of signal `number` with `SIG`, or `None` if it has none.
#[must_use]
pub fn name(_number: i32) -> Option<String> {
    todo!()
}
