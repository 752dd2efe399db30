//! How Go writes values: history entries are made of its `%q`, `%v` and `%+v`.

use gantry_image::Healthcheck;
pub(super) use gantry_parser::go::quote;

/// Writes `["a" "b"]`, as `%q` does for a slice of strings.
pub(super) fn quoted<S: AsRef<str>>(texts: &[S]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quote(text.as_ref())).collect();
    format!("[{}]", quoted.join(" "))
}

/// Writes `[a b]`, as `%v` does for a slice of strings.
pub(super) fn plain<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
    format!("[{}]", texts.join(" "))
}

/// Writes a health check as `%+v` does.
pub(super) fn healthcheck(check: &Healthcheck) -> String {
    format!(
        "{{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        plain(&check.test),
        duration(check.interval),
        duration(check.timeout),
        duration(check.start_period),
        duration(check.start_interval),
        check.retries
    )
}

/// Writes a duration in nanoseconds as `time.Duration` does: `1m30s`, `1.5s`, `20ms`, `0s`.
fn duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    const SECOND: u64 = 1_000_000_000;
    if nanos == 0 {
        return "0s".to_owned();
    }
    let (unit, name) = match nanos {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..SECOND => (1_000_000, "ms"),
        _ => (SECOND, "s"),
    };
    let (whole, rest) = (nanos / unit, nanos % unit);
    let width = unit.ilog10() as usize;
    let mut fraction = if rest == 0 { String::new() } else { format!(".{rest:0width$}") };
    fraction.truncate(fraction.trim_end_matches('0').len());
    if unit < SECOND {
        return format!("{sign}{whole}{fraction}{name}");
    }
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}{fraction}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}{fraction}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_gos() {
        let cases = [
            (0, "0s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_500_000_000, "1.5s"),
            (20_000_000, "20ms"),
            (1_500, "1.5µs"),
            (7, "7ns"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn quotes_read_like_gos() {
        assert_eq!(quoted(&["echo", "a \"b\"\n\\"]), r#"["echo" "a \"b\"\n\\"]"#);
        assert_eq!(quoted::<&str>(&[]), "[]");
    }
}
