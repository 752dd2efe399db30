//! DL3057: there is a HEALTHCHECK.

use super::{File, Findings, Level, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL3057",
    level: Level::Ignore,
    message: "`HEALTHCHECK` instruction missing.",
    same_as: None,
    page: include_str!("dl3057.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let Some(stage) = file.layout.stages.last() else { return };
    let mut checked = *stage;
    loop {
        let is_check = |s: &Statement| matches!(s.instruction, Instruction::Healthcheck(_));
        if checked.body.iter().any(is_check) {
            return;
        }
        match file.parent(&checked) {
            Some(parent) => checked = parent,
            None => break,
        }
    }
    findings.add(stage.statement.keyword.span, stage.statement);
}
