//! DL4000: no MAINTAINER.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL4000",
    level: Level::Error,
    message: "MAINTAINER is deprecated",
    same_as: Some("MaintainerDeprecated"),
    page: include_str!("dl4000.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        if let Instruction::Maintainer(_) = statement.instruction {
            findings.add(statement.keyword.span, statement);
        }
    }
}
