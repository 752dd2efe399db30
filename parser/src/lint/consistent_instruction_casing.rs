//! ConsistentInstructionCasing: keywords are all upper or all lower case, as the majority is.

use super::{File, Findings, Rule};
use crate::ast::Statement;

pub(super) const RULE: Rule = Rule {
    name: "ConsistentInstructionCasing",
    description: "All commands within the Dockerfile should use the same casing (either upper or lower)",
    experimental: false,
    page: include_str!("consistent_instruction_casing.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    // ARGs above the first FROM are not counted, as in BuildKit.
    let in_stages: Vec<&Statement> = file
        .layout
        .stages
        .iter()
        .flat_map(|stage| std::iter::once(stage.statement).chain(stage.body))
        .collect();
    let count = |is: fn(&str) -> bool| in_stages.iter().filter(|s| is(&s.keyword.text)).count();
    let majority_is_lower = count(is_lower) > count(is_upper);
    for statement in in_stages {
        let keyword = &statement.keyword;
        let (fits, casing) = if majority_is_lower {
            (is_lower(&keyword.text), "lowercase")
        } else {
            (is_upper(&keyword.text), "uppercase")
        };
        if !fits {
            let message = format!(
                "Command '{keyword}' should match the case of the command majority ({casing})"
            );
            findings.add(&RULE, message, keyword.span, statement);
        }
    }
}

fn is_lower(text: &str) -> bool {
    text == text.to_lowercase()
}

fn is_upper(text: &str) -> bool {
    text == text.to_uppercase()
}
