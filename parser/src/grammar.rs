//! From text to statements: the one entry, and the order in which the parts of the grammar work.
//!
//! ```text
//! text ─lines→ physical lines ─logical→ one line an instruction (continuations joined)
//!      ─heredoc→ bodies taken from the lines that follow
//!      ─statement→ keyword, flags, arguments ─instruction→ typed instruction
//! ```
//! Every stage keeps the way back to the bytes of the file ([`logical::Logical::span`]). Small
//! pieces are read with nom over `&str`; errors are collected ([`errors::Errors`]), not thrown.

mod directive;
mod errors;
mod flags;
pub mod format;
mod instruction;
mod json;
mod lines;
mod logical;
mod statement;
mod words;

pub use directive::{detect_syntax, parse_check};

use std::borrow::Cow;

use crate::ast::Dockerfile;
use crate::{Diagnostic, SourceFile, Span};
use errors::Errors;
use lines::Lines;

/// What came out of a file: what is well formed, and what is to be said about the rest.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The well-formed part.
    pub dockerfile: Dockerfile,
    /// Errors of the grammar in the order of the file; none, and the file may be built.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether there is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// What to do about a file in which nothing is.
const BEGIN: &str = "Begin with the image to build upon, such as `FROM alpine`, or `FROM scratch`";

/// Parses a Dockerfile; never stops at the first error, never panics.
///
/// Besides errors in instructions it reports a file without instructions or without stages, and
/// instructions other than ARG before the first FROM.
#[must_use]
pub fn parse(source: &SourceFile) -> Parsed {
    let mut errors = Errors::new(source);
    let mut dockerfile = Dockerfile::default();
    if source.text().is_empty() {
        errors.file("the Dockerfile cannot be empty", BEGIN);
        return Parsed { dockerfile, diagnostics: errors.finish() };
    }
    let mut lines = Lines::new(source);
    lines.check_lengths(&mut errors);
    dockerfile.directives = directive::read(&mut lines, &mut errors);
    let escape = dockerfile.directives.escape;
    let found = statement::read_all(&mut lines, escape, &mut dockerfile.statements, &mut errors);
    check_order(&found, &mut errors);
    Parsed { dockerfile, diagnostics: errors.finish() }
}

/// Parses one ONBUILD trigger, as `Config.OnBuild` of a base image stores it.
///
/// More than one instruction is the error `onbuild trigger should be a single expression`; so is
/// a FROM, MAINTAINER or ONBUILD.
#[must_use]
pub fn parse_trigger(source: &SourceFile, escape: char) -> Parsed {
    let several = "onbuild trigger should be a single expression";
    let hint = "Give every instruction an ONBUILD of its own";
    single(source, escape, (several, hint), instruction::refused_as_trigger)
}

/// Parses one `--change` of an import: a single instruction that sets something in the config.
#[must_use]
pub fn parse_change(source: &SourceFile) -> Parsed {
    let several = "a change should be a single instruction";
    let hint = "Give every instruction a `--change` of its own";
    single(source, '\\', (several, hint), |keyword| {
        if instruction::CONFIG_KEYWORDS.contains(&keyword) {
            return None;
        }
        let message = format!("{} is not a valid change command", keyword.to_lowercase());
        Some((message, format!("Changes are {}", instruction::CONFIG_KEYWORDS.join(", "))))
    })
}

/// Parses a text of one instruction that stands for itself.
fn single(
    source: &SourceFile,
    escape: char,
    several: (&str, &str),
    refused: impl Fn(&str) -> Option<(String, String)>,
) -> Parsed {
    let mut errors = Errors::new(source);
    let mut dockerfile = Dockerfile::default();
    dockerfile.directives.escape = escape;
    let mut lines = Lines::new(source);
    let found = statement::read_all(&mut lines, escape, &mut dockerfile.statements, &mut errors);
    if found.len() != 1 {
        errors.file(several.0, several.1);
    }
    for read in &found {
        if let Some((message, hint)) = refused(&read.keyword) {
            errors.syntax(message, read.span, hint);
        }
    }
    Parsed { dockerfile, diagnostics: errors.finish() }
}

/// A logical line that was read, well formed or not.
struct Read {
    /// The keyword in upper case.
    keyword: Cow<'static, str>,
    span: Span,
    /// Whether it is well formed and more than an ARG.
    needs_stage: bool,
}

/// Reports what stands before the first FROM and must not, and what is missing altogether.
fn check_order(found: &[Read], errors: &mut Errors<'_>) {
    let first_from = found.iter().position(|read| read.keyword == "FROM").unwrap_or(found.len());
    for read in &found[..first_from] {
        if read.needs_stage {
            let hint = "Put a FROM above it; only ARG may stand before the first one";
            errors.syntax("no build stage in current context", read.span, hint);
        }
    }
    if found.is_empty() {
        errors.file("file with no instructions", BEGIN);
    } else if first_from == found.len() && errors.count() == 0 {
        let hint = "Add a FROM below the ARGs, such as `FROM alpine`";
        errors.file("dockerfile contains no stages to build", hint);
    }
}
