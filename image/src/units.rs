//! Sizes as docker prints them (`188MB`, `1.895kB`): go-units, decimal, significant digits.

const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/// Formats `bytes` with up to four significant digits, as `docker system df` and prune do.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    scaled(bytes, 4)
}

/// Formats `bytes` with up to three significant digits, as `docker images` and `history` do.
#[must_use]
pub fn human_size_short(bytes: u64) -> String {
    scaled(bytes, 3)
}

/// Go's `%.Ng%s`, but for values that round up to 1000: docker prints `1e+03kB`, we `1MB`.
fn scaled(bytes: u64, digits: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a handful of digits is printed")]
    let mut value = bytes as f64;
    let mut unit = 0;
    loop {
        let integer_digits = if value >= 100.0 {
            3
        } else if value >= 10.0 {
            2
        } else {
            1
        };
        let text = format!("{value:.*}", digits - integer_digits);
        let rounded: f64 = text.parse().unwrap_or(value);
        if (value >= 1000.0 || (rounded >= 1000.0 && unit > 0)) && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
            continue;
        }
        let text = match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.'),
            false => &text,
        };
        return format!("{text}{}", UNITS[unit]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_dockers_do() {
        let cases = [
            (0, "0B", "0B"),
            (960, "960B", "960B"),
            (1000, "1kB", "1kB"),
            (1895, "1.895kB", "1.9kB"),
            (188_000_000, "188MB", "188MB"),
            (187_654_321, "187.7MB", "188MB"),
            (72_789_000, "72.79MB", "72.8MB"),
            (999, "999B", "999B"),
            (999_999, "1MB", "1MB"),
            (99_999, "100kB", "100kB"),
            (9_999, "9.999kB", "10kB"),
            (1_234_567_890_123, "1.235TB", "1.23TB"),
            (u64::MAX, "18.45EB", "18.4EB"),
        ];
        for (bytes, long, short) in cases {
            assert_eq!(human_size(bytes), long);
            assert_eq!(human_size_short(bytes), short);
        }
    }
}
