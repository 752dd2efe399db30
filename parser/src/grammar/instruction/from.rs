//! FROM and ARG.

use super::{Report, Request, example};
use crate::ast::{Arg, ArgDefinition, From};
use crate::go::quote;
use crate::grammar::directive::Descriptions;
use crate::grammar::flags::{Flags, Takes};
use crate::grammar::words;

pub(super) fn from(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<From> {
    let flags = Flags::check(request.flags, &[("platform", Takes::One)], report);
    let args: Vec<&str> = words::at_blanks(request.args).collect();
    let (image, named) = match args[..] {
        [image] => (image, None),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("AS") => {
            (image, Some((keyword, name)))
        }
        _ => {
            let message = "FROM requires either one or three arguments";
            report.says(message, request.args_span(), example("FROM"));
            return None;
        }
    };
    if let Some((_, name)) = named
        && !words::is_stage_name(name)
    {
        let message = format!(
            "invalid name for build stage: {}, name can't start with a number or contain symbols",
            quote(name)
        );
        let hint = "Begin it with a letter, and go on with letters, digits, `-`, `_` and `.`";
        report.says(message, request.source.line.span(name), hint);
    }
    let stage = named.map_or(String::new(), |(_, name)| name.to_lowercase());
    Some(From {
        platform: flags.value("platform"),
        image: request.word(image),
        as_keyword: named.map(|(keyword, _)| request.word(keyword)),
        name: named.map(|(_, name)| request.word(name)),
        description: Descriptions::new(request.source.comments).of(&stage),
    })
}

pub(super) fn arg(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Arg> {
    Flags::check(request.flags, &[], report);
    let words = words::shell(request.args, request.source.escape);
    if words.is_empty() {
        let message = "ARG requires at least one argument";
        report.says(message, request.args_span(), example("ARG"));
        return None;
    }
    let descriptions = Descriptions::new(request.source.comments);
    let mut definitions = Vec::new();
    for word in words {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default)),
            None => (word, None),
        };
        if name.is_empty() {
            let span = request.source.line.span(word);
            report.says("ARG names can not be blank", span, "Write a name before the `=`");
        }
        definitions.push(ArgDefinition {
            name: request.word(name),
            default: default.map(|default| request.word(default)),
            description: descriptions.of(name),
        });
    }
    Some(Arg { definitions })
}
