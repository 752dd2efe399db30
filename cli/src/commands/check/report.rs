//! Findings as people and programs read them; BuildKit's forms.

use std::collections::BTreeSet;

use gantry_parser::lint::{self, hadolint, hadolint::Level};
use gantry_parser::{Diagnostic, SourceFile};
use serde_json::{Value, json};

use super::BUILDKIT_LEVEL;
use crate::commands::Context;
use crate::ui::Failure;
use crate::ui::excerpt::Place;
use crate::ui::github::Mark;

/// What a rule of either set found.
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) diagnostic: Diagnostic,
    pub(super) url: String,
    /// What the rule wants.
    pub(super) description: &'static str,
}

impl Finding {
    pub(super) fn of_buildkit(diagnostic: Diagnostic) -> Self {
        let rule = lint::RULES.iter().find(|rule| Some(rule.name) == diagnostic.code);
        Self {
            level: BUILDKIT_LEVEL,
            diagnostic,
            url: rule.map(lint::Rule::url).unwrap_or_default(),
            description: rule.map_or("", |rule| rule.description),
        }
    }

    fn of_hadolint(finding: hadolint::Finding) -> Self {
        let rules = hadolint::RULES;
        let rule = rules.iter().find(|rule| Some(rule.code) == finding.diagnostic.code);
        Self {
            level: finding.level,
            diagnostic: finding.diagnostic,
            url: rule.map(hadolint::Rule::url).unwrap_or_default(),
            description: rule.map_or("", |rule| rule.message),
        }
    }

    pub(super) fn code(&self) -> &'static str {
        self.diagnostic.code.unwrap_or_default()
    }
}

/// Puts both sets together; what BuildKit's rules said of an instruction is not said again.
pub(super) fn merge(mut found: Vec<Finding>, rules: Vec<hadolint::Finding>) -> Vec<Finding> {
    let said: BTreeSet<_> =
        found.iter().map(|f| (f.code(), f.diagnostic.context.map(|c| c.start))).collect();
    // Of several instructions BuildKit counts up the first, hadolint the last.
    let several = "MultipleInstructionsDisallowed";
    let says = |finding: &hadolint::Finding| {
        let place = finding.diagnostic.context.map(|context| context.start);
        finding.same_as.is_some_and(|rule| {
            said.contains(&(rule, place))
                || rule == several && said.iter().any(|(code, _)| *code == several)
        })
    };
    found.extend(rules.into_iter().filter(|f| !says(f)).map(Finding::of_hadolint));
    found.sort_by_key(|f| f.diagnostic.span().map_or(0, |span| span.start));
    found
}

/// Prints findings and their number, as `docker build --check` does.
pub(super) fn text(
    found: &[Finding],
    source: &SourceFile,
    context: &Context,
) -> Result<(), Failure> {
    let mut text = String::new();
    for finding in found {
        let kind = match finding.level {
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
            Level::Style | Level::Ignore => "STYLE",
        };
        let message = &finding.diagnostic.message;
        text.push_str(&format!("\n{kind}: {} - {}\n{message}\n", finding.code(), finding.url));
        if let Some(place) = Place::of(&finding.diagnostic, source) {
            text.push_str(&place.show(source));
        }
    }
    match found.len() {
        0 => text.push_str("Check complete, no warnings found.\n"),
        1 => text.push_str("\nCheck complete, 1 warning has been found!\n"),
        count => {
            text.push_str(&format!("\nCheck complete, {count} warnings have been found!\n"));
        }
    }
    Ok(context.ui.write(&text)?)
}

/// Marks what was found at its lines for GitHub's runner, on stderr.
pub(super) fn mark(found: &[Finding], source: &SourceFile, file: &str, context: &Context) {
    for finding in found {
        let kind = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info | Level::Style | Level::Ignore => "notice",
        };
        let title = Some(finding.code().to_owned());
        let lines = finding.diagnostic.lines(source);
        let mark = Mark { file: file.to_owned(), lines, title };
        context.ui.note(mark.line(kind, &finding.diagnostic.message));
    }
}

/// The document of BuildKit's `frontend.lint`, with each finding's level.
pub(super) fn json(found: &[Finding], source: &SourceFile) -> Result<String, serde_json::Error> {
    let warnings: Vec<Value> = found
        .iter()
        .map(|finding| {
            json!({
                "ruleName": finding.code(),
                "description": finding.description,
                "url": finding.url,
                "detail": finding.diagnostic.message,
                "level": format!("{:?}", finding.level).to_lowercase(),
                "location": location(finding.diagnostic.lines(source)),
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "warnings": warnings, "sources": [sources(source)] }))
}

/// Lines as BuildKit's `pb.Location`.
pub(super) fn location(lines: Option<(usize, usize)>) -> Value {
    let range = |(first, last)| json!({ "start": { "line": first }, "end": { "line": last } });
    json!({ "sourceIndex": 0, "ranges": lines.map(range).into_iter().collect::<Vec<_>>() })
}

/// A file as BuildKit's `pb.SourceInfo`.
pub(super) fn sources(source: &SourceFile) -> Value {
    json!({
        "filename": source.name(),
        "language": "Dockerfile",
        "data": base64(source.text().as_bytes()),
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            if digit > chunk.len() {
                text.push('=');
            } else {
                let index = (bits >> (18 - 6 * digit)) & 63;
                text.push(char::from(DIGITS[index as usize]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn the_file_is_written_in_base64() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (text, wanted) in pairs {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }
}
