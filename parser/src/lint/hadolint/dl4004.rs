//! DL4004: one ENTRYPOINT a stage.

use super::{File, Findings, Level, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL4004",
    level: Level::Error,
    message: "Multiple `ENTRYPOINT` instructions found. If you list more than one `ENTRYPOINT` then only the last `ENTRYPOINT` will take effect",
    same_as: Some("MultipleInstructionsDisallowed"),
    page: include_str!("dl4004.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        let of_kind = |s: &&Statement| matches!(s.instruction, Instruction::Entrypoint(_));
        let all: Vec<&Statement> = stage.body.iter().filter(of_kind).collect();
        for statement in all.iter().skip(1) {
            findings.add(statement.keyword.span, statement);
        }
    }
}
