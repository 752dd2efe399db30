//! Durations in Go's syntax, such as `1m30s`, for HEALTHCHECK (B4-25).

use std::time::Duration;

use nom::IResult;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char, digit0};
use nom::combinator::{opt, value};

use crate::go::quote;

/// Why a text is no duration. Displays as Go says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct DurationError(String);

/// Reads `time.ParseDuration`'s syntax: numbers with fractions and the units `ns us µs ms s m h`.
///
/// # Errors
/// `time: invalid duration "x"` and its relatives; a negative duration.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let nanos = parse_nanos(text)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| invalid(text))
}

/// The same in nanoseconds, with a sign.
///
/// # Errors
/// As [`parse`], but negative durations are fine.
pub fn parse_nanos(text: &str) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid(text));
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (after, (whole, fraction)) = number(rest).map_err(|_| invalid(text))?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid(text));
        }
        let (after, unit) = unit(after).map_err(|_| {
            let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
            match &after[..end] {
                "" => DurationError(format!("time: missing unit in duration {}", quote(text))),
                name => DurationError(format!(
                    "time: unknown unit {} in duration {}",
                    quote(name),
                    quote(text)
                )),
            }
        })?;
        let whole: u128 = if whole.is_empty() { 0 } else { parse_digits(whole, text)? };
        total += whole * unit;
        // Digits beyond the nanosecond of an hour's fraction cannot count.
        let digits = &fraction[..fraction.len().min(18)];
        if !digits.is_empty() {
            total += parse_digits(digits, text)? * unit / 10_u128.pow(digits.len() as u32);
        }
        rest = after;
    }
    let total = i64::try_from(total).map_err(|_| invalid(text))?;
    Ok(if negative { -total } else { total })
}

fn parse_digits(digits: &str, text: &str) -> Result<u128, DurationError> {
    digits.parse::<u64>().map(u128::from).map_err(|_| invalid(text))
}

fn invalid(text: &str) -> DurationError {
    DurationError(format!("time: invalid duration {}", quote(text)))
}

fn number(input: &str) -> IResult<&str, (&str, &str)> {
    let (input, whole) = digit0(input)?;
    let (input, fraction) = opt((char('.'), digit0)).parse(input)?;
    Ok((input, (whole, fraction.map_or("", |(_, digits)| digits))))
}

fn unit(input: &str) -> IResult<&str, u128> {
    let (rest, unit) = alt((
        value(1, tag("ns")),
        value(1_000, alt((tag("us"), tag("µs"), tag("μs")))),
        value(1_000_000, tag("ms")),
        value(1_000_000_000, tag("s")),
        value(60_000_000_000, tag("m")),
        value(3_600_000_000_000, tag("h")),
    ))
    .parse(input)?;
    if rest.starts_with(|c: char| c != '.' && !c.is_ascii_digit()) {
        let kind = nom::error::ErrorKind::Tag;
        return Err(nom::Err::Error(nom::error::Error::new(input, kind)));
    }
    Ok((rest, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<i64, &str>) {
        assert_eq!(parse_nanos(text).map_err(|e| e.to_string()), expect.map_err(str::to_owned));
    }

    #[test]
    fn reads_what_go_reads() {
        check("0", Ok(0));
        check("1m30s", Ok(90_000_000_000));
        check("1.5h", Ok(5_400_000_000_000));
        check(".5s", Ok(500_000_000));
        check("1.s", Ok(1_000_000_000));
        check("100ms", Ok(100_000_000));
        check("3us2ns", Ok(3_002));
        check("-2s", Ok(-2_000_000_000));
        check("2562047h47m16.854775807s", Ok(i64::MAX));
    }

    #[test]
    fn refuses_what_go_refuses() {
        check("", Err("time: invalid duration \"\""));
        check("5", Err("time: missing unit in duration \"5\""));
        check("5x", Err("time: unknown unit \"x\" in duration \"5x\""));
        check("5msx", Err("time: unknown unit \"msx\" in duration \"5msx\""));
        check(".s", Err("time: invalid duration \".s\""));
        check("x", Err("time: invalid duration \"x\""));
        check("9999999999h", Err("time: invalid duration \"9999999999h\""));
        assert!(parse("-1s").is_err());
    }
}
