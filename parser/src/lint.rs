//! Checks of what is legal and still unwise: BuildKit's rules, one file a rule (D1).
//!
//! Most rules need nothing but the text of one file. What others need of the outside, such as what
//! base images set, comes by a [`World`]; where that does not know, they hold back. Messages are
//! BuildKit's.

mod consistent_instruction_casing;
mod copy_ignored_file;
mod duplicate_stage_name;
mod expose_invalid_format;
mod expose_proto_casing;
pub mod fix;
mod from_as_casing;
mod from_platform_flag_const_disallowed;
pub mod hadolint;
mod invalid_base_image_platform;
mod invalid_default_arg_in_from;
mod invalid_definition_description;
mod json_args_recommended;
mod legacy_key_value_format;
mod maintainer_deprecated;
mod multiple_instructions_disallowed;
mod no_empty_continuation;
mod redundant_target_platform;
mod reserved_stage_name;
pub mod secrets_used_in_arg_or_env;
mod stage_name_casing;
pub mod undefined_arg_in_from;
pub mod undefined_var;
mod workdir_relative_path;

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{CheckOptions, Dockerfile, Instruction, Layout, Stage, Statement};
use crate::expand::{Lexer, Lookup};
use crate::ignore::IgnoreFile;
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
    /// A page about it, in Markdown: why, an example, and what to write instead.
    pub page: &'static str,
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

/// All rules, in BuildKit's order.
pub const RULES: &[Rule] = &[
    stage_name_casing::RULE,
    from_as_casing::RULE,
    no_empty_continuation::RULE,
    consistent_instruction_casing::RULE,
    duplicate_stage_name::RULE,
    reserved_stage_name::RULE,
    json_args_recommended::RULE,
    maintainer_deprecated::RULE,
    undefined_arg_in_from::RULE,
    workdir_relative_path::RULE,
    undefined_var::RULE,
    multiple_instructions_disallowed::RULE,
    legacy_key_value_format::RULE,
    invalid_base_image_platform::RULE,
    redundant_target_platform::RULE,
    secrets_used_in_arg_or_env::RULE,
    invalid_default_arg_in_from::RULE,
    from_platform_flag_const_disallowed::RULE,
    copy_ignored_file::RULE,
    invalid_definition_description::RULE,
    expose_proto_casing::RULE,
    expose_invalid_format::RULE,
];

/// What rules may want to know that the file does not say.
pub struct World<'a> {
    /// Values of `--build-arg`.
    pub build_args: &'a dyn Lookup,
    /// The ignore file of the context, if there is one.
    pub ignore: Option<&'a IgnoreFile>,
    /// The platform that is built for, such as `linux/amd64`; empty if that is not known.
    pub platform: &'a str,
    /// What is known of an image, by its name and the platform that it is wanted for, without
    /// fetching it.
    pub base: &'a dyn Fn(&str, &str) -> Option<Base>,
}

impl World<'static> {
    /// Nothing but the file is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self { build_args: &(), ignore: None, platform: "", base: &|_, _| None }
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("platform", &self.platform).finish_non_exhaustive()
    }
}

/// What rules want to know of a base image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Base {
    /// The variables that it sets.
    pub env: Vec<(String, String)>,
    /// The platform that it is for.
    pub platform: String,
}

/// ARGs that every FROM may use without declaring them (B7-11).
const PLATFORM_ARGS: [&str; 11] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
];

/// What a rule looks at.
struct File<'a> {
    dockerfile: &'a Dockerfile,
    layout: Layout<'a>,
    world: &'a World<'a>,
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

    /// The names that ARGs above the first FROM declare.
    fn declared(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for statement in &self.layout.globals {
            if let Instruction::Arg(arg) = &statement.instruction {
                names.extend(arg.definitions.iter().map(|definition| definition.name.as_str()));
            }
        }
        names
    }

    /// The variables that FROM sees, if these values are given.
    fn globals(&self, given: &dyn Lookup) -> BTreeMap<String, String> {
        let (os, rest) = self.world.platform.split_once('/').unwrap_or(("linux", "amd64"));
        let (arch, variant) = rest.split_once('/').unwrap_or((rest, ""));
        let mut globals: BTreeMap<String, String> = BTreeMap::new();
        for name in PLATFORM_ARGS {
            let value = match name.trim_start_matches("TARGET").trim_start_matches("BUILD") {
                "PLATFORM" => format!("{os}/{rest}"),
                "OS" => os.to_owned(),
                "ARCH" => arch.to_owned(),
                "VARIANT" => variant.to_owned(),
                "STAGE" => "default".to_owned(),
                _ => String::new(),
            };
            globals.insert(name.to_owned(), value);
        }
        let lexer = Lexer::new(self.dockerfile.directives.escape);
        for statement in &self.layout.globals {
            let Instruction::Arg(arg) = &statement.instruction else { continue };
            for definition in &arg.definitions {
                let name = &definition.name.text;
                let default = definition.default.as_ref();
                let default = || default.and_then(|word| lexer.text(word, &globals).ok());
                if let Some(value) = given.get(name).map(str::to_owned).or_else(default) {
                    globals.insert(name.clone(), value);
                }
            }
        }
        globals
    }

    /// What is known of the image that `stage` is built from; nothing if it is a stage.
    fn base(&self, stage: &Stage<'a>, globals: &BTreeMap<String, String>) -> Option<Base> {
        let lexer = Lexer::new(self.dockerfile.directives.escape);
        let name = lexer.text(&stage.from.image, globals).ok()?;
        if name.is_empty() || name == "scratch" || self.layout.find(&name, stage.index).is_some() {
            return None;
        }
        (self.world.base)(&name, &self.wanted(stage, globals).unwrap_or_default())
    }

    /// The platform that `stage` is built for, if that can be told.
    fn wanted(&self, stage: &Stage<'a>, globals: &BTreeMap<String, String>) -> Option<String> {
        match &stage.from.platform {
            None => Some(self.world.platform.to_owned()),
            Some(word) => Lexer::new(self.dockerfile.directives.escape).text(word, globals).ok(),
        }
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

/// Runs all rules as far as the text alone tells; findings in the order of the file.
///
/// `options`, which come from the build (`BUILDKIT_DOCKERFILE_CHECK`), take the place of those of
/// the file's `check` directive. Comments `# check=skip=…` above an instruction come on top.
#[must_use]
pub fn check(dockerfile: &Dockerfile, options: Option<&CheckOptions>) -> Vec<Diagnostic> {
    check_in(dockerfile, options, &World::unknown())
}

/// Runs all rules; otherwise as [`check`].
#[must_use]
pub fn check_in(
    dockerfile: &Dockerfile,
    options: Option<&CheckOptions>,
    world: &World<'_>,
) -> Vec<Diagnostic> {
    let defaults = CheckOptions::default();
    let options = effective(dockerfile, options).unwrap_or(&defaults);
    let file = File { dockerfile, layout: dockerfile.layout(), world };
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
