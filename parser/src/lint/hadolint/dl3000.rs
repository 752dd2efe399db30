//! DL3000: WORKDIR is absolute.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3000",
    level: Level::Error,
    message: "Use absolute WORKDIR",
    same_as: Some("WorkdirRelativePath"),
    page: include_str!("dl3000.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let Instruction::Workdir(workdir) = &statement.instruction else { continue };
        let path = workdir.path.text.trim_start_matches(['"', '\'']);
        let has_drive = path.get(1..2) == Some(":");
        if !path.starts_with(['/', '$']) && !has_drive {
            findings.add(workdir.path.span, statement);
        }
    }
}
