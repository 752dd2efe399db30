//! DL3021: COPY of several sources into a directory.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3021",
    level: Level::Error,
    message: "COPY with more than 2 arguments requires the last argument to end with /",
    same_as: None,
    page: include_str!("dl3021.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let Instruction::Copy(copy) = &statement.instruction else { continue };
        let dest = &copy.transfer.dest;
        let text = dest.text.trim_end_matches(['"', '\'']);
        if copy.transfer.sources.len() > 1 && !text.ends_with('/') && !text.contains('$') {
            findings.add(dest.span, statement);
        }
    }
}
