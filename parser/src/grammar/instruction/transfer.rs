//! COPY and ADD (B6, B8-08).

use std::collections::HashMap;

use super::{Report, Request, example};
use crate::Word;
use crate::ast::{Add, Copy, Heredoc, Source, Transfer};
use crate::grammar::flags::{Flags, Takes};
use crate::grammar::words::holds_variable;
use crate::{chmod, heredoc};

const COPY_FLAGS: [(&str, Takes); 6] = [
    ("from", Takes::One),
    ("chown", Takes::One),
    ("chmod", Takes::One),
    ("link", Takes::Bool),
    ("parents", Takes::Bool),
    ("exclude", Takes::Many),
];

const ADD_FLAGS: [(&str, Takes); 7] = [
    ("chown", Takes::One),
    ("chmod", Takes::One),
    ("link", Takes::Bool),
    ("keep-git-dir", Takes::Bool),
    ("checksum", Takes::One),
    ("unpack", Takes::Bool),
    ("exclude", Takes::Many),
];

pub(super) fn copy(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Copy> {
    if let Some(flag) = request.flags.iter().find(|flag| flag.name.text == "checksum") {
        let hint = "Remove it, or use ADD: checksums are for what is downloaded";
        report.syntax("checksum can't be specified for COPY", flag.span, hint);
        return None;
    }
    let flags = Flags::check(request.flags, &COPY_FLAGS, report);
    let from = flags.value("from");
    if let Some(from) = from.as_ref().filter(|from| holds_variable(&from.text)) {
        report.syntax(
            "variable expansion is not supported for --from, define a new stage with FROM using \
             ARG from global scope as a workaround",
            from.span,
            format!("Add a stage `FROM {from} AS files`, and write `--from=files`"),
        );
    }
    let transfer = transfer("COPY", request, &flags, report)?;
    Some(Copy { transfer, from, parents: flags.switch("parents") })
}

pub(super) fn add(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Add> {
    let flags = Flags::check(request.flags, &ADD_FLAGS, report);
    let transfer = transfer("ADD", request, &flags, report)?;
    Some(Add {
        transfer,
        checksum: flags.value("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    })
}

fn transfer(
    name: &str,
    request: &Request<'_>,
    flags: &Flags<'_>,
    report: &mut Report<'_, '_>,
) -> Option<Transfer> {
    let (mut words, json) = request.list(report)?;
    let Some(dest) = words.pop() else { return too_few(name, request, report) };
    if words.is_empty() {
        return too_few(name, request, report);
    }
    if !json && heredoc::parse_word(&dest.text).is_some() {
        let message = format!("{name} cannot accept a heredoc as a destination");
        report.says(message, dest.span, "Write the path of the new file behind it");
    }
    let chmod = flags.value("chmod");
    if let Some(mode) = chmod.as_ref().filter(|mode| !mode.may_expand())
        && let Err(error) = chmod::parse(&mode.text)
    {
        report.syntax(error.to_string(), mode.span, error.hint());
    }
    // Of several with the same name, the last one counts (B8-09). In JSON form there are none.
    let bodies: HashMap<&str, &Heredoc> =
        request.source.heredocs.iter().map(|body| (body.name.text.as_str(), body)).collect();
    let sources = words.into_iter().map(|word| source(word, &bodies)).collect();
    Some(Transfer {
        sources,
        dest,
        chown: flags.value("chown"),
        chmod,
        link: flags.switch("link"),
        exclude: flags.values("exclude"),
    })
}

fn too_few<T>(name: &str, request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<T> {
    let message = format!(
        "{name} requires at least two arguments, but only one was provided. Destination could not \
         be determined"
    );
    report.says(message, request.args_span(), example(name));
    None
}

/// A word that opens a here-document stands for the body of that name.
fn source(word: Word, bodies: &HashMap<&str, &Heredoc>) -> Source {
    let opening = if bodies.is_empty() { None } else { heredoc::parse_word(&word.text) };
    match opening.and_then(|opening| bodies.get(opening.name.as_str()).copied()) {
        Some(body) => Source::Heredoc(body.clone()),
        None => Source::Path(word),
    }
}
