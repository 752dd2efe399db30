//! InvalidDefinitionDescription: comments right above FROM and ARG describe what is defined there.

use super::{File, Findings, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    name: "InvalidDefinitionDescription",
    description: "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    experimental: true,
    page: include_str!("invalid_definition_description.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in &file.dockerfile.statements {
        match &statement.instruction {
            Instruction::From(from) => {
                // A stage without a name can't be described.
                if let Some(name) = &from.name {
                    look(statement, &[&name.text], findings);
                }
            }
            Instruction::Arg(arg) => {
                let names: Vec<&str> =
                    arg.definitions.iter().map(|definition| definition.name.as_str()).collect();
                look(statement, &names, findings);
            }
            _ => {}
        }
    }
}

fn look(statement: &Statement, names: &[&str], findings: &mut Findings) {
    let Some(last) = statement.comments.last() else { return };
    let describes =
        |text: &str| text.split_whitespace().next().is_some_and(|word| names.contains(&word));
    let is_pragma = last.text.starts_with("check=") || last.text.starts_with("hadolint ");
    let Some(name) = names.first() else { return };
    if !is_pragma && !statement.comments.iter().any(|comment| describes(&comment.text)) {
        let message = format!(
            "Comment for {} should follow the format: `# {name} <description>`",
            if statement.instruction.name() == "FROM" { "build stage" } else { "build argument" }
        );
        findings.add(&RULE, message, statement.keyword.span, statement);
    }
}
