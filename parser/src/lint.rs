//! Checks of what is legal and still unwise: BuildKit's rules, one file a rule (D1).
//!
//! The rules here need nothing but the text of one file. Those that need variables, images or the
//! build context are the business of whoever has these. Messages are BuildKit's.

mod consistent_instruction_casing;
mod duplicate_stage_name;
mod expose_invalid_format;
mod expose_proto_casing;
mod from_as_casing;
mod json_args_recommended;
mod legacy_key_value_format;
mod maintainer_deprecated;
mod multiple_instructions_disallowed;
mod no_empty_continuation;
mod reserved_stage_name;
mod secrets_used_in_arg_or_env;
mod stage_name_casing;
mod workdir_relative_path;

use std::collections::BTreeSet;

use crate::ast::{CheckOptions, Dockerfile, Instruction, Layout, Stage, Statement};
use crate::{Diagnostic, Span};

/// A rule, as it is listed.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The name that `skip=` takes, and the code of its findings.
    pub name: &'static str,
    /// What it wants, in a sentence.
    pub description: &'static str,
    /// Off unless `experimental=` names it.
    pub experimental: bool,
    check: fn(&File<'_>, &mut Findings),
}

impl Rule {
    /// Where the rule is documented.
    #[must_use]
    pub fn url(&self) -> String {
        let mut slug = String::new();
        let mut previous_upper = true;
        for c in self.name.chars() {
            if c.is_uppercase() && !previous_upper {
                slug.push('-');
            }
            previous_upper = c.is_uppercase();
            slug.extend(c.to_lowercase());
        }
        let slug = slug.replace("jsonargs", "json-args");
        format!("https://docs.docker.com/go/dockerfile/rule/{slug}/")
    }
}

/// All rules that look at text alone, in BuildKit's order.
pub const RULES: &[Rule] = &[
    stage_name_casing::RULE,
    from_as_casing::RULE,
    no_empty_continuation::RULE,
    consistent_instruction_casing::RULE,
    duplicate_stage_name::RULE,
    reserved_stage_name::RULE,
    json_args_recommended::RULE,
    maintainer_deprecated::RULE,
    workdir_relative_path::RULE,
    multiple_instructions_disallowed::RULE,
    legacy_key_value_format::RULE,
    secrets_used_in_arg_or_env::RULE,
    expose_proto_casing::RULE,
    expose_invalid_format::RULE,
];

/// What a rule looks at.
struct File<'a> {
    dockerfile: &'a Dockerfile,
    layout: Layout<'a>,
}

impl<'a> File<'a> {
    /// All statements, and those of ONBUILD triggers behind the statement that holds them.
    fn deep(&self) -> impl Iterator<Item = &'a Statement> + use<'a> {
        self.dockerfile.statements.iter().flat_map(|statement| {
            let trigger = match &statement.instruction {
                Instruction::Onbuild(onbuild) => Some(&*onbuild.trigger),
                _ => None,
            };
            std::iter::once(statement).chain(trigger)
        })
    }

    /// The earlier stage that `stage` is built from, if its FROM names one without a variable.
    fn parent(&self, stage: &Stage<'a>) -> Option<Stage<'a>> {
        self.layout.find(&stage.from.image.text, stage.index).copied()
    }
}

/// Where rules put what they find.
struct Findings {
    found: Vec<Diagnostic>,
}

impl Findings {
    /// A finding at `span`, within `statement`.
    fn add(&mut self, rule: &Rule, message: String, span: Span, statement: &Statement) {
        self.found.push(Diagnostic::warning(rule.name, message, span).within(statement.span));
    }
}

/// Runs all rules that need nothing but the text; findings in the order of the file.
///
/// `options`, which come from the build (`BUILDKIT_DOCKERFILE_CHECK`), take the place of those of
/// the file's `check` directive. Comments `# check=skip=…` above an instruction come on top.
#[must_use]
pub fn check(dockerfile: &Dockerfile, options: Option<&CheckOptions>) -> Vec<Diagnostic> {
    let defaults = CheckOptions::default();
    let options = effective(dockerfile, options).unwrap_or(&defaults);
    let file = File { dockerfile, layout: dockerfile.layout() };
    let mut findings = Findings { found: Vec::new() };
    for rule in RULES {
        let off = rule.experimental && !options.experimental.contains(rule.name);
        if !off && !options.skip.contains(rule.name) {
            (rule.check)(&file, &mut findings);
        }
    }
    let mut found = findings.found;
    found.retain(|finding| !is_skipped_at(dockerfile, finding));
    found.sort_by_key(|finding| finding.span().map_or(0, |span| span.start));
    found
}

/// The options that count: those of the build, else those of the file's directive.
#[must_use]
pub fn effective<'a>(
    dockerfile: &'a Dockerfile,
    options: Option<&'a CheckOptions>,
) -> Option<&'a CheckOptions> {
    options.or(dockerfile.directives.check.as_ref())
}

/// Whether a comment above the instruction of `finding` skips the finding's rule. Findings of
/// rules that live elsewhere have to ask, too.
#[must_use]
pub fn is_skipped_at(dockerfile: &Dockerfile, finding: &Diagnostic) -> bool {
    let (Some(code), Some(span)) = (finding.code, finding.context.or_else(|| finding.span()))
    else {
        return false;
    };
    let statements = &dockerfile.statements;
    let index = statements.partition_point(|statement| statement.span.start <= span.start);
    let statement = index.checked_sub(1).and_then(|index| statements.get(index));
    statement
        .and_then(|statement| statement.check.as_ref())
        .is_some_and(|check| check.skip.contains(code))
}

/// What a build with `check=error=true` fails with, if there are findings.
#[must_use]
pub fn violation(findings: &[Diagnostic]) -> Option<String> {
    let rules: BTreeSet<&str> = findings.iter().filter_map(|finding| finding.code).collect();
    if rules.is_empty() {
        return None;
    }
    let rules: Vec<&str> = rules.into_iter().collect();
    Some(format!("lint violation found for rules: {}", rules.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_dockers() {
        assert_eq!(
            stage_name_casing::RULE.url(),
            "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/"
        );
        assert!(json_args_recommended::RULE.url().ends_with("/json-args-recommended/"));
    }
}
