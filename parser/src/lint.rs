//! Checks of what is legal and still unwise: BuildKit's rules, one file a rule (D1).
use crate::ast::{CheckOptions, Dockerfile};
use crate::{Diagnostic, SourceFile};

/// Runs all rules that need nothing but the text; findings in the order of the file.
///
/// `options` (of the build) come over those of the file's `check` directive.
#[must_use]
pub fn check(
    _source: &SourceFile,
    _dockerfile: &Dockerfile,
    _options: Option<&CheckOptions>,
) -> Vec<Diagnostic> {
    todo!()
}
