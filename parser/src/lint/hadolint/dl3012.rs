//! DL3012: one HEALTHCHECK a stage.

use super::{File, Findings, Level, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL3012",
    level: Level::Error,
    message: "Multiple `HEALTHCHECK` instructions",
    same_as: Some("MultipleInstructionsDisallowed"),
    page: include_str!("dl3012.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        let of_kind = |s: &&Statement| matches!(s.instruction, Instruction::Healthcheck(_));
        let all: Vec<&Statement> = stage.body.iter().filter(of_kind).collect();
        for statement in all.iter().skip(1) {
            findings.add(statement.keyword.span, statement);
        }
    }
}
