//! The instructions that take one text, a list or a command and only change the config.

use super::{Report, Request, example};
use crate::ast::{
    Cmd, CommandLine, Entrypoint, Expose, Maintainer, Shell, Stopsignal, User, Volume, Workdir,
};
use crate::grammar::flags::Flags;
use crate::grammar::words;
use crate::{Diagnostic, Word};
use crate::{port, signal};

pub(super) fn workdir(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Workdir> {
    one(request, report).map(|path| Workdir { path })
}

pub(super) fn user(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<User> {
    one(request, report).map(|user| User { user })
}

pub(super) fn maintainer(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Maintainer> {
    one(request, report).map(|name| Maintainer { name })
}

pub(super) fn stopsignal(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Stopsignal> {
    let signal = one(request, report)?;
    if !signal.may_expand()
        && let Err(error) = signal::parse(&signal.text)
    {
        report.syntax(error.to_string(), signal.span, error.hint());
    }
    Some(Stopsignal { signal })
}

/// The whole rest of the line is one argument.
fn one(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Word> {
    Flags::check(request.flags, &[], report);
    if request.args.is_empty() {
        let name = request.keyword.to_uppercase();
        let message = format!("{name} requires exactly one argument");
        report.says(message, request.args_span(), example(&name));
        return None;
    }
    Some(request.word(request.args))
}

pub(super) fn cmd(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Cmd> {
    Flags::check(request.flags, &[], report);
    request.command(request.args, report).map(|command| Cmd { command })
}

pub(super) fn entrypoint(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Entrypoint> {
    Flags::check(request.flags, &[], report);
    request.command(request.args, report).map(|command| Entrypoint { command })
}

pub(super) fn shell(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Shell> {
    Flags::check(request.flags, &[], report);
    match request.command(request.args, report)? {
        CommandLine::Exec(argv) if !argv.is_empty() => Some(Shell { argv }),
        CommandLine::Shell(text) if !text.text.is_empty() => {
            let span = request.args_span();
            let message = "SHELL requires the arguments to be in JSON form";
            report.says(message, span, example("SHELL"));
            None
        }
        CommandLine::Exec(_) | CommandLine::Shell(_) => {
            let message = "SHELL requires at least one argument";
            report.says(message, request.args_span(), example("SHELL"));
            None
        }
    }
}

/// Ports are sorted by text, as BuildKit does before it expands them.
pub(super) fn expose(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Expose> {
    Flags::check(request.flags, &[], report);
    request.at_least_one(report)?;
    let mut ports: Vec<Word> =
        words::at_blanks(request.args).map(|word| request.word(word)).collect();
    for word in ports.iter().filter(|word| !word.may_expand()) {
        if let Err(error) = port::parse(&word.text) {
            let notes = error.reason().map(str::to_owned);
            report.syntax(error.to_string(), word.span, error.hint());
            report.errors.amend(|told| Diagnostic { notes: notes.into_iter().collect(), ..told });
        }
    }
    ports.sort_by(|a, b| a.text.cmp(&b.text));
    Some(Expose { ports })
}

pub(super) fn volume(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Volume> {
    Flags::check(request.flags, &[], report);
    let (mut paths, _) = request.list(report)?;
    if paths.is_empty() {
        let message = "VOLUME requires at least one argument";
        report.says(message, request.args_span(), example("VOLUME"));
        return None;
    }
    for path in &mut paths {
        path.text = path.text.trim().to_owned();
        if path.text.is_empty() {
            let message = "VOLUME specified can not be an empty string";
            report.says(message, path.span, "Name a directory, or remove this one");
        }
    }
    Some(Volume { paths })
}
