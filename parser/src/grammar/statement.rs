//! Logical lines into statements: comments above, keyword, flags, arguments, here-documents.

use std::borrow::Cow;

use super::errors::Errors;
use super::flags;
use super::instruction::{self, Report, Request};
use super::json::is_json;
use super::lines::Lines;
use super::logical::Logical;
use super::words::keyword;
use super::{Read, directive};
use crate::ast::{CheckOptions, Heredoc, Instruction, Keyword, Rules, Statement};
use crate::heredoc::openings;
use crate::{Span, Word};

/// Reads all statements up to the end of the file; those that are well formed go to `statements`.
pub(super) fn read_all(
    lines: &mut Lines<'_>,
    escape: char,
    statements: &mut Vec<Statement>,
    errors: &mut Errors<'_>,
) -> Vec<Read> {
    let most = lines.total().min(512);
    statements.reserve(most);
    let mut found = Vec::with_capacity(most);
    let mut comments: Vec<Word> = Vec::new();
    let mut logical = Logical::default();
    while let Some(line) = lines.peek() {
        let instruction = line.begins_with_letter();
        if !instruction && let Some((comment, start)) = line.comment() {
            let text = comment.trim();
            let start = start + (comment.len() - comment.trim_start().len());
            if text.is_empty() {
                comments.clear();
            } else {
                comments.push(Word::new(text, Span::new(start, start + text.len())));
            }
            lines.next();
        } else if !instruction && line.is_blank() {
            comments.clear();
            lines.next();
        } else if logical.fill(lines, escape) {
            let comments = std::mem::take(&mut comments);
            let before = errors.count();
            let (keyword, span, statement) = read(&mut logical, comments, lines, escape, errors);
            let statement = statement.filter(|_| errors.count() == before);
            let needs_stage = statement
                .as_ref()
                .is_some_and(|statement| !matches!(statement.instruction, Instruction::Arg(_)));
            statements.extend(statement);
            found.push(Read { keyword, span, needs_stage });
        }
    }
    found
}

fn read(
    logical: &mut Logical,
    comments: Vec<Word>,
    lines: &mut Lines<'_>,
    escape: char,
    errors: &mut Errors<'_>,
) -> (Cow<'static, str>, Span, Option<Statement>) {
    let before = errors.count();
    let heredocs = match takes_heredocs(&logical.text) {
        true => bodies(logical, lines, errors),
        false => Vec::new(),
    };
    let mut span = logical.whole();
    if !heredocs.is_empty() {
        span.end = span.end.max(lines.since(span.start).trim_end().len() + span.start);
    }
    let check = check_comments(&comments, errors);
    let blank_lines = std::mem::take(&mut logical.blank_lines);
    let source = Source { line: logical, heredocs: &heredocs, comments: &comments, escape, span };
    let statement = source.statement(logical.text.trim(), errors);
    errors.attribute(before, span);
    let name = match &statement {
        Some(statement) => Cow::Borrowed(statement.instruction.name()),
        None => instruction::known(keyword(&logical.text).0),
    };
    let statement = statement.map(|mut statement| {
        (statement.comments, statement.check, statement.blank_lines) =
            (comments, check, blank_lines);
        give(&mut statement.instruction, heredocs);
        statement
    });
    (name, span, statement)
}

/// Gives a RUN, also one below ONBUILD, its here-documents.
fn give(instruction: &mut Instruction, heredocs: Vec<Heredoc>) {
    match instruction {
        Instruction::Run(run) => run.heredocs = heredocs,
        Instruction::Onbuild(onbuild) => give(&mut onbuild.trigger.instruction, heredocs),
        _ => {}
    }
}

/// What a statement is made of, besides its own text; ONBUILD's trigger shares it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) line: &'a Logical,
    pub(super) heredocs: &'a [Heredoc],
    pub(super) comments: &'a [Word],
    pub(super) escape: char,
    pub(super) span: Span,
}

impl Source<'_> {
    /// Reads `text`, a slice of the line; reports what is wrong with it.
    pub(super) fn statement(&self, text: &str, errors: &mut Errors<'_>) -> Option<Statement> {
        let (name, rest) = keyword(text);
        let (flags, rest) = flags::extract(self.line, rest);
        let request = Request { source: *self, keyword: name, flags: &flags, args: rest.trim() };
        let instruction =
            instruction::parse(&request, &mut Report { errors, instruction: self.span })?;
        Some(Statement {
            keyword: Keyword { text: instruction::known_text(name), span: self.line.span(name) },
            span: self.span,
            text: text.into(),
            flags,
            comments: Vec::new(),
            check: None,
            blank_lines: Vec::new(),
            instruction,
        })
    }
}

/// Whether an instruction may have here-documents: RUN, COPY and ADD not in JSON form, also below
/// ONBUILD (B8-01).
fn takes_heredocs(text: &str) -> bool {
    if memchr::memchr(b'<', text.as_bytes()).is_none() {
        return false;
    }
    let (mut name, mut rest) = keyword(text.trim());
    if name.eq_ignore_ascii_case("ONBUILD") {
        (name, rest) = keyword(flags::skip(rest).trim());
    }
    ["RUN", "COPY", "ADD"].iter().any(|taker| name.eq_ignore_ascii_case(taker))
        && !is_json(flags::skip(rest).trim())
}

/// Takes the here-documents of a line from the lines that follow, and says whether it has any.
pub(super) fn has_heredocs(
    logical: &Logical,
    lines: &mut Lines<'_>,
    errors: &mut Errors<'_>,
) -> bool {
    takes_heredocs(&logical.text) && !bodies(logical, lines, errors).is_empty()
}

/// Takes the bodies of a line's here-documents from the lines that follow.
fn bodies(logical: &Logical, lines: &mut Lines<'_>, errors: &mut Errors<'_>) -> Vec<Heredoc> {
    let mut found = Vec::new();
    // Where to look for the next opening; `None` once one was not found as written.
    let mut searched = Some(0);
    for (word, opening) in openings(&logical.text) {
        let found_at = searched.and_then(|from| Some(from + logical.text[from..].find(&word)?));
        searched = found_at.map(|at| at + word.len());
        let name_span = match found_at {
            Some(at) => logical.span(&logical.text[at..at + word.len()]),
            None => logical.whole(),
        };
        let start = lines.offset();
        let mut end = None;
        for line in lines.by_ref() {
            let text = if opening.chomp { line.text.trim_start_matches('\t') } else { line.text };
            if text == opening.name {
                end = Some(line.start);
                break;
            }
        }
        let Some(end) = end else {
            let hint = format!("End it with a line that holds only `{}`", opening.name);
            errors.syntax("unterminated heredoc", name_span, hint);
            break;
        };
        found.push(Heredoc {
            name: Word::new(opening.name, name_span),
            fd: opening.fd,
            chomp: opening.chomp,
            expand: opening.expand,
            raw: lines.since(start)[..end - start].to_owned(),
            span: Span::new(start, end),
        });
    }
    found
}

/// Merges the `check=` comments above an instruction.
fn check_comments(comments: &[Word], errors: &mut Errors<'_>) -> Option<CheckOptions> {
    let mut merged: Option<CheckOptions> = None;
    for comment in comments {
        match directive::comment_check(&comment.text) {
            None => {}
            Some(Err(message)) => {
                errors.syntax(message, comment.span, directive::CHECK_OPTIONS);
            }
            Some(Ok(options)) => {
                let all = merged.get_or_insert_default();
                merge(&mut all.skip, options.skip);
                merge(&mut all.experimental, options.experimental);
                all.error |= options.error;
            }
        }
    }
    merged
}

fn merge(rules: &mut Rules, more: Rules) {
    match (&mut *rules, more) {
        (Rules::Named(names), Rules::Named(more)) => names.extend(more),
        (_, Rules::All) => *rules = Rules::All,
        (Rules::All, Rules::Named(_)) => {}
    }
}
