//! UndefinedArgInFrom: FROM uses ARGs that are declared above the first FROM.

use super::{File, Findings, PLATFORM_ARGS, Rule};
use crate::expand::Lexer;
use crate::suggest::with_suggestion;

pub(super) const RULE: Rule = Rule {
    name: "UndefinedArgInFrom",
    description: "FROM command must use declared ARGs",
    experimental: false,
    page: include_str!("undefined_arg_in_from.md"),
    check,
};

/// What is said of `name`, which is none of the `known` ones.
pub fn message<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> String {
    with_suggestion(format!("FROM argument '{name}' is not declared"), name, known, true)
}

fn check(file: &File<'_>, findings: &mut Findings) {
    let declared = file.declared();
    let globals = file.globals(file.world.build_args);
    let lexer = Lexer::new(file.dockerfile.directives.escape);
    for stage in &file.layout.stages {
        for word in std::iter::once(&stage.from.image).chain(&stage.from.platform) {
            let Ok(expanded) = lexer.value(&word.text, &globals) else { continue };
            for name in expanded.unset.iter().filter(|name| !declared.contains(&name.as_str())) {
                let known = PLATFORM_ARGS.iter().copied().chain(declared.iter().copied());
                findings.add(&RULE, message(name, known), word.span, stage.statement);
            }
        }
    }
}
