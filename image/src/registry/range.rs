//! `Range` and `Content-Range`, as downloads and uploads use them.

/// What `Content-Range: bytes 5-9/10` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// Offset of the first byte.
    pub(super) start: u64,
    /// How large the whole is, if that is said.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        (start <= end && total.is_none_or(|total| end < total)).then_some(Self { start, total })
    }
}

/// Returns how many bytes an upload has: `Range: 0-9` means ten. Registries say `0-0` both for one
/// byte and for none, so that is none: a byte sent twice does no harm, a missing one does.
pub(super) fn uploaded(text: &str) -> Option<u64> {
    let text = text.trim();
    let (start, end) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
    match (start, end) {
        (0, 0) => Some(0),
        (0, end) => end.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_or_refused() {
        let range = |start, total| Some(ContentRange { start, total });
        for (text, expected) in [
            ("bytes 5-9/10", range(5, Some(10))),
            ("bytes 0-0/*", range(0, None)),
            ("bytes 9-5/10", None),
            ("bytes 0-10/10", None),
            ("bytes */10", None),
            ("items 0-1/2", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
        for (text, expected) in [
            ("0-0", Some(0)),
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("1-9", None),
            ("0-18446744073709551615", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(uploaded(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(start in 0_u64..1 << 40, length in 1_u64..1 << 40, more in 0_u64..9) {
            let end = start + length - 1;
            let text = format!("bytes {start}-{end}/{}", end + 1 + more);
            prop_assert_eq!(ContentRange::parse(&text).map(|range| range.start), Some(start));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[bytes=*/ 0-9-]{0,50}") {
            let _ = (ContentRange::parse(&text), uploaded(&text));
        }
    }
}
