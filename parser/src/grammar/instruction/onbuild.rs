//! ONBUILD (B8-11, B8-14).

use super::{Report, Request};
use crate::ast::Onbuild;
use crate::grammar::flags::Flags;
use crate::grammar::words;

pub(super) fn onbuild(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Onbuild> {
    Flags::check(request.flags, &[], report);
    request.at_least_one(report)?;
    let (name, _) = words::keyword(request.args);
    if let Some(message) = refused_as_trigger(&name.to_uppercase()) {
        report.says(message, request.source.line.span(name));
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

/// Why the instruction `keyword` (in upper case) may not be a trigger.
pub(in crate::grammar) fn refused_as_trigger(keyword: &str) -> Option<String> {
    match keyword {
        "ONBUILD" => Some("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "FROM" | "MAINTAINER" => Some(format!("{keyword} isn't allowed as an ONBUILD trigger")),
        _ => None,
    }
}
