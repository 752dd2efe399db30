//! Checks: what is legal in a Dockerfile and still unwise, and whether that fails the build.

use std::collections::BTreeMap;

use gantry_parser::ast::CheckOptions;
use gantry_parser::{Diagnostic, Dockerfile, lint, parse_check};

/// The build argument whose value takes the place of the file's `check` directive.
const OPTIONS: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// The rules that count for one build.
#[derive(Debug, Default)]
pub(super) struct Checks {
    options: Option<CheckOptions>,
}

impl Checks {
    /// Reads the options that the build was given.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(build_args: &BTreeMap<String, String>) -> Result<Self, String> {
        let options = build_args.get(OPTIONS).map(|text| parse_check(text)).transpose()?;
        Ok(Self { options })
    }

    /// Puts the findings of all rules together: of those that need the text alone, and of those
    /// that lowering looked at, if it came that far. In the order of the file, each once.
    pub(super) fn merge(
        &self,
        dockerfile: &Dockerfile,
        lowered: Option<Vec<Diagnostic>>,
    ) -> Vec<Diagnostic> {
        let mut found = lint::check(dockerfile, self.options.as_ref());
        if lowered.is_some() {
            // Who lowered it knew all variables, and these rules' text is the same.
            let variables = [Some("UndefinedVar"), Some("UndefinedArgInFrom")];
            found.retain(|finding| !variables.contains(&finding.code));
        }
        let skips = lint::effective(dockerfile, self.options.as_ref());
        for finding in lowered.unwrap_or_default() {
            let skipped = skips.zip(finding.code).is_some_and(|(o, code)| o.skip.contains(code))
                || lint::is_skipped_at(dockerfile, &finding);
            let place = |other: &Diagnostic| (other.code, other.span(), other.message.clone());
            if !skipped && !found.iter().any(|other| place(other) == place(&finding)) {
                found.push(finding);
            }
        }
        found.sort_by_key(|finding| finding.span().map_or(0, |span| span.start));
        found
    }

    /// Says so if a finding is to fail the build (`check=error=true`).
    pub(super) fn violation(
        &self,
        dockerfile: &Dockerfile,
        findings: &[Diagnostic],
    ) -> Option<Diagnostic> {
        let fails = lint::effective(dockerfile, self.options.as_ref())?.error;
        let message = lint::violation(findings).filter(|_| fails)?;
        Some(Diagnostic::error_in_file(message))
    }
}
