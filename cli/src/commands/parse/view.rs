//! The document that `gantry parse --json` prints, as `docs/ast.md` describes it.

use gantry_parser::ast::{CheckOptions, FlagUse, Rules, Statement};
use gantry_parser::{Diagnostic, Parsed, Severity, SourceFile, Span, Word};
use serde_json::{Value, json};

use super::instruction;

/// The version of the form. New members may come without a new version; a member that is there
/// keeps its name, its type and its meaning.
pub(super) const VERSION: u32 = 1;

/// All of it.
pub(super) fn document(source: &SourceFile, parsed: &Parsed) -> Value {
    let directives = &parsed.dockerfile.directives;
    let statements = parsed.dockerfile.statements.iter();
    json!({
        "version": VERSION,
        "file": source.name(),
        "directives": {
            "syntax": directives.syntax.as_ref().map(word),
            "escape": directives.escape.to_string(),
            "escapeSpan": directives.escape_span.map(span),
            "check": directives.check.as_ref().map(check),
        },
        "statements": statements.map(|it| statement(source, it)).collect::<Vec<_>>(),
        "diagnostics": parsed.diagnostics.iter().map(|it| diagnostic(source, it)).collect::<Vec<_>>(),
    })
}

/// One statement: what all have, and then what its kind has.
pub(super) fn statement(source: &SourceFile, statement: &Statement) -> Value {
    let (first, last) = source.line_range(statement.span);
    let common = json!({
        "kind": statement.instruction.name(),
        "keyword": json!({ "text": statement.keyword.text, "span": span(statement.keyword.span) }),
        "span": span(statement.span),
        "lines": [first, last],
        "text": statement.text,
        "flags": statement.flags.iter().map(flag).collect::<Vec<_>>(),
        "comments": words(&statement.comments),
        "check": statement.check.as_ref().map(check),
        "blankLines": statement.blank_lines.iter().copied().map(span).collect::<Vec<_>>(),
    });
    let own = instruction::members(source, &statement.instruction);
    let (Value::Object(mut all), Value::Object(own)) = (common, own) else { return Value::Null };
    all.extend(own);
    Value::Object(all)
}

fn flag(flag: &FlagUse) -> Value {
    json!({
        "name": word(&flag.name),
        "value": flag.value.as_ref().map(word),
        "span": span(flag.span),
    })
}

/// `[start, end]` in bytes.
pub(super) fn span(span: Span) -> Value {
    json!([span.start, span.end])
}

/// A word with its place.
pub(super) fn word(word: &Word) -> Value {
    json!({ "text": word.text, "span": span(word.span) })
}

/// Several of them.
pub(super) fn words<'a>(all: impl IntoIterator<Item = &'a Word>) -> Value {
    all.into_iter().map(word).collect()
}

fn check(options: &CheckOptions) -> Value {
    let rules = |rules: &Rules| match rules {
        Rules::All => json!("all"),
        Rules::Named(names) => json!(names),
    };
    json!({
        "skip": rules(&options.skip),
        "experimental": rules(&options.experimental),
        "error": options.error,
    })
}

fn diagnostic(source: &SourceFile, diagnostic: &Diagnostic) -> Value {
    let position = |offset: usize| {
        let at = source.position(offset);
        json!({ "line": at.line, "column": at.column })
    };
    let labels = diagnostic.labels.iter().map(|label| {
        json!({
            "span": span(label.span),
            "start": position(label.span.start),
            "end": position(label.span.end),
            "text": label.text,
        })
    });
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        "code": diagnostic.code,
        "message": diagnostic.message,
        "labels": labels.collect::<Vec<_>>(),
        "lines": diagnostic.lines(source).map(|(first, last)| [first, last]),
        "notes": diagnostic.notes,
        "hint": diagnostic.hint,
    })
}
