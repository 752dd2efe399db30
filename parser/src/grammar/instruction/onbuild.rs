//! ONBUILD (B8-11, B8-14).

use super::{Report, Request};
use crate::ast::Onbuild;
use crate::grammar::flags::Flags;
use crate::grammar::words;

pub(super) fn onbuild(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Onbuild> {
    Flags::check(request.flags, &[], report);
    request.at_least_one(report)?;
    let (name, _) = words::keyword(request.args);
    if let Some((message, hint)) = refused_as_trigger(&name.to_uppercase()) {
        report.says(message, request.source.line.span(name), hint);
        return None;
    }
    let trigger = request.source.statement(request.args, report.errors)?;
    let mut expression = request.args.to_owned();
    for heredoc in request.source.heredocs {
        expression.push('\n');
        expression.push_str(&heredoc.raw);
        expression.push_str(&heredoc.name.text);
    }
    Some(Onbuild { expression, trigger: Box::new(trigger) })
}

/// Why the instruction `keyword` (in upper case) may not be a trigger, and what to do instead.
pub(in crate::grammar) fn refused_as_trigger(keyword: &str) -> Option<(String, String)> {
    let (message, hint) = match keyword {
        "ONBUILD" => (
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned(),
            "Remove one ONBUILD; triggers reach the next image only",
        ),
        "FROM" => (
            format!("{keyword} isn't allowed as an ONBUILD trigger"),
            "Remove it; who builds upon this image names the base",
        ),
        "MAINTAINER" => (
            format!("{keyword} isn't allowed as an ONBUILD trigger"),
            "Use `ONBUILD LABEL org.opencontainers.image.authors=…`",
        ),
        _ => return None,
    };
    Some((message, hint.to_owned()))
}
