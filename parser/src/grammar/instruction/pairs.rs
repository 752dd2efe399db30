//! ENV and LABEL: `key=value …`, or the old `key value` (B4-17, B4-18).

use super::{Report, Request};
use crate::ast::{Env, KeyValue, KeyValueForm, Label};
use crate::go::quote;
use crate::grammar::flags::Flags;
use crate::grammar::words;

pub(super) fn env(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Env> {
    pairs("ENV", request, report).map(|pairs| Env { pairs })
}

pub(super) fn label(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Label> {
    pairs("LABEL", request, report).map(|pairs| Label { pairs })
}

fn pairs(name: &str, request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Vec<KeyValue>> {
    Flags::check(request.flags, &[], report);
    let words = words::shell(request.args, request.source.escape);
    let Some(first) = words.first() else {
        report.says(format!("{name} requires at least one argument"), request.args_span());
        return None;
    };
    // A space before the first `=` means the old form; then the whole rest is the value.
    if !first.contains('=') {
        let Some((key, value)) = words::first_and_rest(request.args) else {
            report.syntax(format!("{name} must have two arguments"), request.args_span());
            return None;
        };
        let (key, value) = (request.word(key), request.word(value));
        return Some(vec![KeyValue { key, value, form: KeyValueForm::Legacy }]);
    }
    let mut pairs = Vec::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            let message = format!(
                "Syntax error - can't find = in {}. Must be of the form: name=value",
                quote(word)
            );
            report.syntax(message, request.source.line.span(word));
            continue;
        };
        if key.is_empty() {
            report.says(format!("{name} names can not be blank"), request.source.line.span(word));
        }
        let (key, value) = (request.word(key), request.word(value));
        pairs.push(KeyValue { key, value, form: KeyValueForm::Equals });
    }
    Some(pairs)
}
