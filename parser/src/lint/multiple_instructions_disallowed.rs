//! MultipleInstructionsDisallowed: one CMD, ENTRYPOINT and HEALTHCHECK a stage.

use super::{File, Findings, Rule};
use crate::ast::Statement;

pub(super) const RULE: Rule = Rule {
    name: "MultipleInstructionsDisallowed",
    description: "Multiple instructions of the same type should not be used in the same stage",
    experimental: false,
    page: include_str!("multiple_instructions_disallowed.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
            let of_name = |s: &&Statement| s.instruction.name() == name;
            let all: Vec<&Statement> = stage.body.iter().filter(of_name).collect();
            // All but the last are told: those are the ones without effect.
            for statement in all.iter().take(all.len().saturating_sub(1)) {
                let message = format!(
                    "Multiple {name} instructions should not be used in the same stage because \
                     only the last one will be used"
                );
                findings.add(&RULE, message, statement.keyword.span, statement);
            }
        }
    }
}
