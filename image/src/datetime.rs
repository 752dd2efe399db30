//! Points in time as image configs write them: RFC 3339 text.
//!
//! Keeps the text that was read, so that a base image's history is written back untouched, also
//! where it carries an offset or a precision that we would not write.

use std::fmt;

use serde::{Deserialize, Serialize};

/// RFC 3339 text, such as `2024-05-01T12:00:00.5Z`.
///
/// Text from a foreign config is taken as it is; [`unix`](Self::unix) says whether it is a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DateTime(String);

impl DateTime {
    /// Writes a time as Go does: UTC, as many decimals as needed, `Z`.
    ///
    /// Times outside the years -9999 to 9999 are clamped to that range.
    #[must_use]
    pub fn from_unix(secs: i64, nanos: u32) -> Self {
        let nanos = i32::try_from(nanos.min(999_999_999)).unwrap_or(0);
        let clamped = if secs < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::new(secs, nanos).unwrap_or(clamped).to_string())
    }

    /// Returns seconds and nanoseconds since 1970, or `None` if the text is no RFC 3339 time.
    #[must_use]
    pub fn unix(&self) -> Option<(i64, u32)> {
        let time: jiff::Timestamp = self.0.parse().ok()?;
        let total = time.as_nanosecond();
        let secs = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
        let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).ok()?;
        Some((secs, nanos))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(DateTime::from_unix(0, 0).as_str(), "1970-01-01T00:00:00Z");
        assert_eq!(
            DateTime::from_unix(1_714_564_800, 500_000_000).as_str(),
            "2024-05-01T12:00:00.5Z"
        );
        assert_eq!(DateTime::from_unix(-1, 999_999_999).unix(), Some((-1, 999_999_999)));
    }

    #[test]
    fn foreign_text_is_kept() {
        let read: DateTime =
            serde_json::from_str("\"2024-05-01T14:00:00.100000000+02:00\"").unwrap();
        assert_eq!(read.unix(), Some((1_714_564_800, 100_000_000)));
        assert_eq!(read.as_str(), "2024-05-01T14:00:00.100000000+02:00");
        let zero: DateTime = serde_json::from_str("\"0001-01-01T00:00:00Z\"").unwrap();
        assert_eq!(zero.unix(), Some((-62_135_596_800, 0)));
        assert_eq!(serde_json::from_str::<DateTime>("\"\"").unwrap().unix(), None);
    }
}
