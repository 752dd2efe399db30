//! ENV and LABEL: `key=value …`, or the old `key value` (B4-17, B4-18).

use super::{Report, Request, example};
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
        let message = format!("{name} requires at least one argument");
        report.says(message, request.args_span(), example(name));
        return None;
    };
    // A space before the first `=` means the old form; then the whole rest is the value.
    if !first.contains('=') {
        let Some((key, value)) = words::first_and_rest(request.args) else {
            let message = format!("{name} must have two arguments");
            report.syntax(message, request.args_span(), format!("Write `{name} {first}=value`"));
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
            let hint = "Put a value with spaces in double quotes, or write `=` behind this name";
            report.syntax(message, request.source.line.span(word), hint);
            continue;
        };
        if key.is_empty() {
            let span = request.source.line.span(word);
            let message = format!("{name} names can not be blank");
            report.says(message, span, "Write a name before the `=`");
        }
        let (key, value) = (request.word(key), request.word(value));
        pairs.push(KeyValue { key, value, form: KeyValueForm::Equals });
    }
    Some(pairs)
}
