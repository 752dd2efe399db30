//! `# syntax=`, `# escape=`, `# check=` at the top of the file (B2).

use std::collections::HashMap;

use nom::bytes::complete::take_while;
use nom::character::complete::{char, satisfy};
use nom::combinator::recognize;
use nom::sequence::delimited;
use nom::{IResult, Parser};

use super::errors::Errors;
use super::lines::Lines;
use crate::ast::{CheckOptions, Directives, Rules};
use crate::go::{parse_bool, quote};
use crate::{SourceFile, Span, Word};

/// Reads the directives and stops before the first line that is none.
pub(super) fn read(lines: &mut Lines<'_>, errors: &mut Errors<'_>) -> Directives {
    let mut directives = Directives::default();
    let mut seen: Vec<String> = Vec::new();
    while let Some(line) = lines.peek() {
        let Some((comment, _)) = line.comment() else { break };
        let Some((key, value)) = key_value(comment) else { break };
        let key = key.to_lowercase();
        if !matches!(key.as_str(), "syntax" | "escape" | "check") {
            break;
        }
        let at = line.start + (value.as_ptr() as usize - line.text.as_ptr() as usize);
        let span = Span::new(at, at + value.len());
        if seen.contains(&key) {
            let message = format!("only one {key} parser directive can be used");
            errors.syntax(message, line.span(), "Keep one of them");
        } else {
            match key.as_str() {
                "syntax" => directives.syntax = Some(Word::new(value, span)),
                "check" => match parse_check(value) {
                    Ok(options) => directives.check = Some(options),
                    Err(message) => errors.syntax(message, span, CHECK_OPTIONS),
                },
                _ => match value {
                    "\\" | "`" => {
                        directives.escape = if value == "`" { '`' } else { '\\' };
                        directives.escape_span = Some(span);
                    }
                    _ => errors.syntax(
                        format!("invalid escape token '{value}' does not match ` or \\"),
                        span,
                        "Write `# escape=\\`, or a backquote in its place",
                    ),
                },
            }
        }
        seen.push(key);
        lines.next();
    }
    directives
}

/// Reads `key = value`, as behind the `#` of a directive. The value is not empty and has no outer
/// space.
pub(super) fn key_value(comment: &str) -> Option<(&str, &str)> {
    let (value, key) = key_and_equals(comment).ok()?;
    let value = value.trim_end();
    (!value.is_empty()).then_some((key, value))
}

fn key_and_equals(input: &str) -> IResult<&str, &str> {
    let space = || take_while(char::is_whitespace);
    let name = recognize((
        satisfy(|c| c.is_ascii_alphabetic()),
        take_while(|c: char| c.is_ascii_alphanumeric()),
    ));
    delimited(space(), name, (space(), char('='), space())).parse(input)
}

/// What a `check` may say.
pub(super) const CHECK_OPTIONS: &str =
    "Options are `skip=RULE,RULE`, `error=true` and `experimental=RULE`, with `;` between them";

/// Reads the options of a `check` directive, comment or build-arg: `skip=A,B|all`, `error=true`,
/// `experimental=A,B|all`, joined by `;`.
///
/// # Errors
/// `invalid check option "x"`, or a value of `error` that is no boolean.
pub fn parse_check(text: &str) -> Result<CheckOptions, String> {
    let mut options = CheckOptions::default();
    if text.trim().is_empty() {
        return Ok(options);
    }
    let rules = |value: &str| match value.trim() {
        "all" => Rules::All,
        names => Rules::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
    };
    for part in text.trim().split(';') {
        let Some((key, value)) = part.split_once('=') else {
            return Err(format!("invalid check option {}", quote(part)));
        };
        match key.trim() {
            "skip" => options.skip = rules(value),
            "experimental" => options.experimental = rules(value),
            "error" => {
                let value = value.trim();
                options.error = parse_bool(value).ok_or_else(|| {
                    format!(
                        "failed to parse check option {}: strconv.ParseBool: parsing {}: invalid \
                         syntax",
                        quote(part),
                        quote(value)
                    )
                })?;
            }
            other => return Err(format!("invalid check option {}", quote(other))),
        }
    }
    Ok(options)
}

/// The frontend that a file asks for, in any of the forms that BuildKit knows: `# syntax=`,
/// `// syntax=`, or a JSON object with the key `syntax`; a first line with `#!` is skipped.
///
/// Options behind the reference, after a space, are not part of the result.
#[must_use]
pub fn detect_syntax(source: &SourceFile) -> Option<String> {
    let text = source.text();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = match text.strip_prefix("#!") {
        Some(rest) => rest.split_once('\n').map_or("", |(_, rest)| rest),
        None => text,
    };
    let value = ["#", "//"].iter().find_map(|prefix| syntax_behind(text, prefix));
    let value = value.map(str::to_owned).or_else(|| {
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let object: serde_json::Value = serde_json::from_str(text).ok()?;
        object.get("syntax")?.as_str().map(str::to_owned)
    })?;
    Some(value.split(' ').next().unwrap_or("").to_owned())
}

fn syntax_behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    for line in text.lines() {
        let (key, value) = key_value(line.strip_prefix(prefix)?)?;
        match key.to_lowercase().as_str() {
            "syntax" => return Some(value),
            "escape" | "check" => {}
            _ => return None,
        }
    }
    None
}

/// Reads `check=…` in the text of a comment above an instruction.
pub(super) fn comment_check(comment: &str) -> Option<Result<CheckOptions, String>> {
    let (key, value) = key_value(comment)?;
    key.eq_ignore_ascii_case("check").then(|| parse_check(value))
}

/// Comments `# <name> text` above an instruction, which describe a stage or ARG (B2-10).
pub(super) struct Descriptions<'a>(HashMap<&'a str, &'a str>);

impl<'a> Descriptions<'a> {
    pub(super) fn new(comments: &'a [Word]) -> Self {
        let mut all = HashMap::new();
        for comment in comments {
            if let Some((name, text)) = comment.text.split_once(' ') {
                all.entry(name).or_insert(text);
            }
        }
        Self(all)
    }

    /// The first text about `name`.
    pub(super) fn of(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| (*text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_options() {
        let options = parse_check("skip=JSONArgsRecommended, StageNameCasing;error=true").unwrap();
        assert!(options.skip.contains("StageNameCasing") && options.error);
        assert_eq!(parse_check("skip=all;experimental=all").unwrap().skip, Rules::All);
        assert_eq!(parse_check("x").unwrap_err(), "invalid check option \"x\"");
        assert_eq!(parse_check("x=y").unwrap_err(), "invalid check option \"x\"");
        assert!(parse_check("error=maybe").unwrap_err().contains("error=maybe"));
    }

    #[test]
    fn syntax_in_every_form() {
        let detect = |text: &str| detect_syntax(&SourceFile::new("x", text));
        assert_eq!(
            detect("# Syntax = docker/dockerfile:1 -x\n").as_deref(),
            Some("docker/dockerfile:1")
        );
        assert_eq!(detect("#!/x\n// syntax=a/b").as_deref(), Some("a/b"));
        assert_eq!(detect("{\"syntax\": \"a/c\"}").as_deref(), Some("a/c"));
        assert_eq!(detect("# escape=`\n# syntax=a\n").as_deref(), Some("a"));
        assert_eq!(detect("# hi\n# syntax=a\n"), None);
        assert_eq!(detect("FROM a\n"), None);
    }
}
