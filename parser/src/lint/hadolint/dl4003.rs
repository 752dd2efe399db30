//! DL4003: one CMD a stage.

use super::{File, Findings, Level, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL4003",
    level: Level::Warning,
    message: "Multiple `CMD` instructions found. If you list more than one `CMD` then only the last `CMD` will take effect",
    same_as: Some("MultipleInstructionsDisallowed"),
    page: include_str!("dl4003.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        let of_kind = |s: &&Statement| matches!(s.instruction, Instruction::Cmd(_));
        let all: Vec<&Statement> = stage.body.iter().filter(of_kind).collect();
        for statement in all.iter().skip(1) {
            findings.add(statement.keyword.span, statement);
        }
    }
}
