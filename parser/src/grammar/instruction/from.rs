//! FROM and ARG.

use super::{Report, Request};
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
            report.says("FROM requires either one or three arguments", request.args_span());
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
        report.says(message, request.source.line.span(name));
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
        report.says("ARG requires at least one argument", request.args_span());
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
            report.says("ARG names can not be blank", request.source.line.span(word));
        }
        definitions.push(ArgDefinition {
            name: request.word(name),
            default: default.map(|default| request.word(default)),
            description: descriptions.of(name),
        });
    }
    Some(Arg { definitions })
}
