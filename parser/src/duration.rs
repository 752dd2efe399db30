//! Durations in Go's syntax, such as `1m30s`, for HEALTHCHECK (B4-25).
use std::time::Duration;

/// Why a text is no duration. Displays as Go says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DurationError(String);

/// Reads `time.ParseDuration`'s syntax; negative ones are refused.
///
/// # Errors
/// `time: invalid duration "x"` and its relatives.
pub fn parse(_text: &str) -> Result<Duration, DurationError> {
    todo!()
}
