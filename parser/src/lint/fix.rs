//! What can be mended without a person: each mend is a replacement of a few bytes of the file.
//!
//! Everything else of the file stays byte for byte, and mending twice changes nothing more. A mend
//! is left out where it could change what is built in a way that its rule does not ask for.

use crate::ast::{CommandLine, Instruction, KeyValue, KeyValueForm, Keyword, Stage, Statement};
use crate::{Diagnostic, Severity, SourceFile, Span};

/// The rules that [`fix`] knows a mend for.
pub const FIXABLE: [&str; 6] = [
    "StageNameCasing",
    "FromAsCasing",
    "ConsistentInstructionCasing",
    "JSONArgsRecommended",
    "MaintainerDeprecated",
    "LegacyKeyValueFormat",
];

/// A file that was mended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fixed {
    /// The new text.
    pub text: String,
    /// The findings that are gone, by rule and message.
    pub mended: Vec<Diagnostic>,
}

/// Mends what [`check`](super::check) finds under the file's own options.
///
/// # Errors
/// The file's errors, if it has any: nobody knows what was meant.
pub fn fix(source: &SourceFile) -> Result<Fixed, Vec<Diagnostic>> {
    let mut text = source.text().to_owned();
    let mut mended = Vec::new();
    // One mend may be what another is measured by: `as` follows the case of its FROM.
    for _ in 0..FIXABLE.len() {
        let current = SourceFile::new(source.name(), text.as_str());
        let Some(next) = pass(&current, &mut mended)? else { break };
        text = next;
    }
    Ok(Fixed { text, mended })
}

/// Mends once; `None` if there was nothing to mend.
fn pass(
    source: &SourceFile,
    mended: &mut Vec<Diagnostic>,
) -> Result<Option<String>, Vec<Diagnostic>> {
    let parsed = crate::parse(source);
    if parsed.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(parsed.diagnostics);
    }
    let dockerfile = &parsed.dockerfile;
    let layout = dockerfile.layout();
    let escape = dockerfile.directives.escape;
    let mut edits: Vec<(Span, String)> = Vec::new();
    for finding in super::check(dockerfile, None) {
        let (Some(code), Some(span)) = (finding.code, finding.span()) else { continue };
        let found = dockerfile.statements.iter().find(|statement| {
            finding.context.is_some_and(|context| statement.span.start == context.start)
        });
        let Some(statement) = found else { continue };
        let stage = layout.stages.iter().rev().find(|s| s.statement.span.start <= span.start);
        let edit = match code {
            "StageNameCasing" => Some((span, source.slice(span).to_lowercase())),
            "FromAsCasing" => Some((span, cased("as", is_upper(&statement.keyword)))),
            "ConsistentInstructionCasing" => {
                let upper = finding.message.ends_with("(uppercase)");
                Some((span, cased(source.slice(span), upper)))
            }
            "MaintainerDeprecated" => maintainer(statement, source, escape),
            "LegacyKeyValueFormat" => legacy(statement, source, escape),
            "JSONArgsRecommended" => stage.and_then(|stage| json(statement, stage, source)),
            _ => None,
        };
        if let Some(edit) = edit {
            mended.push(finding);
            edits.push(edit);
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    edits.sort_by_key(|(span, _)| span.start);
    let mut text = String::with_capacity(source.text().len());
    let mut done = 0;
    for (span, new) in edits.into_iter().filter(|(span, new)| source.slice(*span) != new) {
        if span.start >= done {
            text.push_str(source.slice(Span::new(done, span.start)));
            text.push_str(&new);
            done = span.end;
        }
    }
    text.push_str(source.slice(Span::new(done, source.text().len())));
    Ok(Some(text))
}

fn is_upper(keyword: &Keyword) -> bool {
    keyword.text == keyword.text.to_uppercase()
}

fn cased(word: &str, upper: bool) -> String {
    if upper { word.to_uppercase() } else { word.to_lowercase() }
}

/// `MAINTAINER x` → `LABEL org.opencontainers.image.authors="x"`. The name was never expanded.
fn maintainer(statement: &Statement, source: &SourceFile, escape: char) -> Option<(Span, String)> {
    let Instruction::Maintainer(maintainer) = &statement.instruction else { return None };
    let span = statement.keyword.span.to(maintainer.name.span);
    if source.slice(span).contains('\n') {
        return None;
    }
    let name = maintainer.name.text.as_str();
    let unquoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let mut value = String::new();
    for c in unquoted.unwrap_or(name).chars() {
        if c == '"' || c == '$' || c == escape {
            value.push(escape);
        }
        value.push(c);
    }
    let label = cased("label", is_upper(&statement.keyword));
    Some((span, format!("{label} org.opencontainers.image.authors=\"{value}\"")))
}

/// `ENV k v w` → `ENV k="v w"`; in a value that has quotes already, `ENV k "v" w` → `ENV k="v"\ w`.
/// Values of several lines are left to a person.
fn legacy(statement: &Statement, source: &SourceFile, escape: char) -> Option<(Span, String)> {
    let [KeyValue { key, value, form: KeyValueForm::Legacy }] = (match &statement.instruction {
        Instruction::Env(env) => env.pairs.as_slice(),
        Instruction::Label(label) => label.pairs.as_slice(),
        _ => return None,
    }) else {
        return None;
    };
    let span = key.span.to(value.span);
    let text = value.text.as_str();
    if source.slice(span).contains('\n') || key.may_expand() || text.is_empty() {
        return None;
    }
    let has_blank = text.contains(char::is_whitespace);
    let has_quote = text.contains(['"', '\'', '\\', '`']);
    let is_quoted = |quote: char| {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        inner.is_some_and(|inner| !inner.contains(['"', '\'', '\\', '`']))
    };
    let value = match (has_blank, has_quote) {
        (false, _) => text.to_owned(),
        (true, false) => format!("\"{text}\""),
        (true, true) if is_quoted('"') || is_quoted('\'') => text.to_owned(),
        (true, true) => escaped(text, escape)?,
    };
    Some((span, format!("{key}={value}")))
}

/// The text with an escape character before each blank that is neither quoted nor escaped; nothing
/// if a quote is left open.
fn escaped(text: &str, escape: char) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == escape && quote != Some('\'') {
            out.push(c);
            out.push(chars.next()?);
            continue;
        }
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c.is_whitespace() => out.push(escape),
            _ => {}
        }
        out.push(c);
    }
    quote.is_none().then_some(out)
}

/// `CMD server -v` → `CMD ["server", "-v"]`, if the shell would do nothing but start it.
///
/// Beside the other of the two, shell and JSON form put together different command lines, so a
/// stage with both is left to a person.
fn json(statement: &Statement, stage: &Stage<'_>, source: &SourceFile) -> Option<(Span, String)> {
    let (command, other) = match &statement.instruction {
        Instruction::Cmd(cmd) => (&cmd.command, "ENTRYPOINT"),
        Instruction::Entrypoint(entrypoint) => (&entrypoint.command, "CMD"),
        _ => return None,
    };
    let CommandLine::Shell(text) = command else { return None };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ./_-:=,+@%".contains(c);
    let words: Vec<&str> = text.text.split(' ').filter(|word| !word.is_empty()).collect();
    let first = words.first()?;
    let beside = stage.body.iter().any(|statement| statement.instruction.name() == other);
    if beside
        || !text.text.chars().all(is_plain)
        || source.slice(text.span) != text.text
        || first.contains('=')
        || BUILTINS.contains(first)
    {
        return None;
    }
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    Some((text.span, format!("[{}]", words.join(", "))))
}

/// Words that only a shell knows.
const BUILTINS: [&str; 26] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "eval", "exec", "exit",
    "export", "fg", "for", "if", "read", "return", "set", "shift", "source", "trap", "type",
    "ulimit", "until", "while",
];
