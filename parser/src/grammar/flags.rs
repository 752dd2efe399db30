//! Flags behind the keyword (B1-11): finding them, and checking them against what is known.

use std::borrow::Cow;

use super::instruction::Report;
use super::logical::Logical;
use crate::ast::{FlagUse, Switch};
use crate::suggest::suggested;
use crate::{Spanned, Word};

/// No instruction knows more flags than these.
const MOST: usize = 8;

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// `--f` or `--f=true`.
    Bool,
    /// `--f=value`, once.
    One,
    /// `--f=value`, any number of times.
    Many,
}

/// Splits flags from the arguments behind them. Quotes and backslashes within a flag are taken
/// out; the escape directive does not change that.
pub(super) fn extract<'a>(line: &Logical, text: &'a str) -> (Vec<FlagUse>, &'a str) {
    let mut flags = Vec::new();
    let mut rest = text;
    while let Some((raw, after)) = next(rest) {
        rest = after;
        let cooked = cook(raw);
        if cooked == "--" {
            break;
        }
        flags.push(flag_use(line, raw, &cooked));
    }
    (flags, rest)
}

/// The arguments behind the flags.
pub(super) fn skip(text: &str) -> &str {
    let mut rest = text;
    while let Some((raw, after)) = next(rest) {
        rest = after;
        if cook(raw) == "--" {
            break;
        }
    }
    rest
}

/// All flags as written, with the `--` that ends them if it is there, and what follows them.
pub(super) fn raw(text: &str) -> (Vec<&str>, &str) {
    let mut flags = Vec::new();
    let mut rest = text;
    while let Some((raw, after)) = next(rest) {
        flags.push(raw);
        rest = after;
        if cook(raw) == "--" {
            break;
        }
    }
    (flags, rest)
}

/// The next flag as written, and what follows it.
fn next(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if !text.starts_with("--") {
        return None;
    }
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', _) => drop(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => return Some((&text[..at], &text[at..])),
            _ => {}
        }
    }
    Some((text, ""))
}

/// A flag without its quotes and backslashes.
fn cook(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| matches!(byte, b'\\' | b'\'' | b'"')) {
        return Cow::Borrowed(raw);
    }
    let mut cooked = String::with_capacity(raw.len());
    let mut quote = None;
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => cooked.extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, _) => cooked.push(c),
        }
    }
    Cow::Owned(cooked)
}

fn flag_use(line: &Logical, raw: &str, cooked: &str) -> FlagUse {
    let span = line.span(raw);
    let Some(equals) = cooked.find('=') else {
        return FlagUse { name: Word::new(&cooked[2..], span), value: None, span };
    };
    // Up to the `=` there are hardly ever quotes; then both parts have their exact place.
    let exact = raw.get(..=equals) == cooked.get(..=equals);
    let (name_span, value_span) = if exact {
        (line.span(&raw[2..equals]), line.span(&raw[equals + 1..]))
    } else {
        (span, span)
    };
    FlagUse {
        name: Word::new(&cooked[2..equals], name_span),
        value: Some(Word::new(&cooked[equals + 1..], value_span)),
        span,
    }
}

/// Flags of one instruction that are known to it.
pub(super) struct Flags<'a> {
    uses: &'a [FlagUse],
}

impl<'a> Flags<'a> {
    /// Reports flags that are not in `known`, come twice, or lack a value.
    pub(super) fn check(
        uses: &'a [FlagUse],
        known: &[(&str, Takes)],
        report: &mut Report<'_, '_>,
    ) -> Self {
        if uses.is_empty() {
            return Self { uses };
        }
        let mut first_uses = [None; MOST];
        for flag in uses {
            let name = flag.name.text.as_str();
            let Some(at) = known.iter().position(|(known, _)| *known == name) else {
                let names = known.iter().map(|(name, _)| *name);
                let message = format!("unknown flag: --{name}");
                let (message, near) = suggested(message, name, names, true);
                report.says(message, flag.span, instead(near, known));
                continue;
            };
            let takes = known[at].1;
            let first = *first_uses[at].get_or_insert(flag.span);
            if first != flag.span && takes != Takes::Many {
                let message = format!("duplicate flag specified: --{name}");
                report.says(message, flag.span, "Keep one of the two");
                report.errors.amend(|error| error.and_label(first, "first given here"));
                continue;
            }
            match (takes, &flag.value) {
                (Takes::One | Takes::Many, None) => {
                    let message = format!("missing a value on flag: --{name}");
                    report.says(message, flag.span, format!("Write `--{name}=…`"));
                }
                (Takes::Bool, Some(value)) if value.text.is_empty() => {
                    let message = format!("missing a value on flag: --{name}");
                    report.says(message, flag.span, on_or_off(name));
                }
                (Takes::Bool, Some(value)) if boolean(&value.text).is_none() => report.says(
                    format!("expecting boolean value for flag --{name}, not: {}", value.text),
                    value.span,
                    on_or_off(name),
                ),
                _ => {}
            }
        }
        Self { uses }
    }

    /// A flag that is on or off.
    pub(super) fn switch(&self, name: &str) -> Option<Switch> {
        let flag = self.uses.iter().find(|flag| flag.name.text == name)?;
        let value = flag.value.as_ref().map_or(Some(true), |value| boolean(&value.text))?;
        Some(Spanned::new(value, flag.span))
    }

    /// A flag with a value; an empty one counts as not given.
    pub(super) fn value(&self, name: &str) -> Option<Word> {
        let given = self.uses.iter().filter(|flag| flag.name.text == name);
        let mut values = given.filter_map(|flag| flag.value.as_ref());
        values.find(|value| !value.text.is_empty()).cloned()
    }

    /// All values of a flag, also empty ones.
    pub(super) fn values(&self, name: &str) -> Vec<Word> {
        let uses = self.uses.iter().filter(|flag| flag.name.text == name);
        uses.filter_map(|flag| flag.value.clone()).collect()
    }
}

/// What to write in place of an unknown flag.
fn instead(near: Option<String>, known: &[(&str, Takes)]) -> String {
    if let Some(near) = near {
        return format!("Write `--{near}`");
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("`--{name}`")).collect();
    match names.as_slice() {
        [] => "Remove it: this instruction takes no flags".to_owned(),
        [only] => format!("The only flag here is {only}"),
        [names @ .., last] => format!("Flags here are {} and {last}", names.join(", ")),
    }
}

fn on_or_off(name: &str) -> String {
    format!("Write `--{name}`, or `--{name}=false`")
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
