//! From text to statements: the one entry, and the order in which the parts of the grammar work.
use crate::ast::Dockerfile;
use crate::{Diagnostic, SourceFile};

/// What came out of a file: what is well formed, and what is to be said about the rest.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The well-formed part.
    pub dockerfile: Dockerfile,
    /// Errors and warnings of the grammar in the order of the file. With an error among them the
    /// file must not be built.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether there is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Parses a Dockerfile; never stops at the first error, never panics.
#[must_use]
pub fn parse(_source: &SourceFile) -> Parsed {
    todo!()
}

/// Parses one ONBUILD trigger, as `Config.OnBuild` of a base image stores it.
///
/// More than one instruction is the error `onbuild trigger should be a single expression`.
#[must_use]
pub fn parse_trigger(_source: &SourceFile, _escape: char) -> Parsed {
    todo!()
}
