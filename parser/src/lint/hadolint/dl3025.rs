//! DL3025: CMD and ENTRYPOINT in JSON form.

use super::{File, Findings, Level, Rule};
use crate::ast::{CommandLine, Instruction};

pub(super) const RULE: Rule = Rule {
    code: "DL3025",
    level: Level::Warning,
    message: "Use arguments JSON notation for CMD and ENTRYPOINT arguments",
    same_as: Some("JSONArgsRecommended"),
    page: include_str!("dl3025.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let command = match &statement.instruction {
            Instruction::Cmd(cmd) => &cmd.command,
            Instruction::Entrypoint(entrypoint) => &entrypoint.command,
            _ => continue,
        };
        if let CommandLine::Shell(text) = command {
            findings.add(text.span, statement);
        }
    }
}
