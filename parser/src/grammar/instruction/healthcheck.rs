//! HEALTHCHECK (B4-25).

use std::time::Duration;

use super::{Report, Request, example};
use crate::ast::{Health, Healthcheck};
use crate::go::quote;
use crate::grammar::flags::{Flags, Takes};
use crate::grammar::words;
use crate::{Spanned, duration};

const FLAGS: [(&str, Takes); 5] = [
    ("interval", Takes::One),
    ("timeout", Takes::One),
    ("start-period", Takes::One),
    ("start-interval", Takes::One),
    ("retries", Takes::One),
];

pub(super) fn healthcheck(
    request: &Request<'_>,
    report: &mut Report<'_, '_>,
) -> Option<Healthcheck> {
    request.at_least_one(report)?;
    let (kind, rest) = words::keyword(request.args);
    let kind_span = request.source.line.span(kind);
    let kind = kind.to_uppercase();
    if kind == "NONE" {
        // Flags beside NONE are not looked at, as in BuildKit.
        if !rest.is_empty() {
            let span = request.source.line.span(rest);
            let hint = "Write `HEALTHCHECK NONE` alone; a check begins with CMD";
            report.says("HEALTHCHECK NONE takes no arguments", span, hint);
        }
        return Some(Healthcheck::None);
    }
    let flags = Flags::check(request.flags, &FLAGS, report);
    if kind != "CMD" {
        let message = format!("Unknown type {} in HEALTHCHECK (try CMD)", quote(&kind));
        report.says(message, kind_span, "Put `CMD` before the command, or write `NONE` alone");
        return None;
    }
    let command = request.command(rest, report)?;
    if command.is_empty() {
        let message = "Missing command after HEALTHCHECK CMD";
        report.says(message, request.args_span(), example("HEALTHCHECK"));
    }
    Some(Healthcheck::Check(Health {
        command,
        interval: interval("interval", &flags, report),
        timeout: interval("timeout", &flags, report),
        start_period: interval("start-period", &flags, report),
        start_interval: interval("start-interval", &flags, report),
        retries: retries(&flags, report),
    }))
}

/// At least a millisecond; `0` counts as not given.
fn interval(
    name: &str,
    flags: &Flags<'_>,
    report: &mut Report<'_, '_>,
) -> Option<Spanned<Duration>> {
    let word = flags.value(name)?;
    match duration::parse_nanos(&word.text) {
        Ok(0) => None,
        Ok(nanos) if nanos >= 1_000_000 => {
            Some(Spanned::new(Duration::from_nanos(nanos.unsigned_abs()), word.span))
        }
        Ok(_) => {
            let message = format!("Interval {} cannot be less than 1ms", quote(name));
            let hint = "Give at least 1ms; 0 stands for the default";
            report.says(message, word.span, hint);
            None
        }
        Err(error) => {
            let hint = "Write numbers with units, such as `1m30s`; units are ms, s, m and h";
            report.says(error.to_string(), word.span, hint);
            None
        }
    }
}

/// What to do about a bad number of retries.
const RETRIES: &str = "Give a whole number; 0 stands for the default";

fn retries(flags: &Flags<'_>, report: &mut Report<'_, '_>) -> Option<Spanned<u32>> {
    let word = flags.value("retries")?;
    match word.text.parse::<i32>() {
        Ok(number) if number >= 0 => Some(Spanned::new(number.unsigned_abs(), word.span)),
        Ok(number) => {
            let message = format!("--retries cannot be negative ({number})");
            report.says(message, word.span, RETRIES);
            None
        }
        Err(error) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let why = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            let message = format!("strconv.ParseInt: parsing {}: {why}", quote(&word.text));
            report.says(message, word.span, RETRIES);
            None
        }
    }
}
