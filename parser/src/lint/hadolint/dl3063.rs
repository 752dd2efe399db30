//! DL3063: there is a USER behind the last FROM.

use super::{File, Findings, Level, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL3063",
    level: Level::Ignore,
    message: "A USER should be set after the last FROM",
    same_as: None,
    page: include_str!("dl3063.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let Some(stage) = file.layout.stages.last() else { return };
    let is_user = |statement: &Statement| matches!(statement.instruction, Instruction::User(_));
    if !stage.body.iter().any(is_user) {
        findings.add(stage.statement.keyword.span, stage.statement);
    }
}
