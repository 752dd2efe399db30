//! DL3066: USER is a number.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3066",
    level: Level::Info,
    message: "Non-numeric user-id may not be resolvable by host system",
    same_as: None,
    page: include_str!("dl3066.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let Instruction::User(user) = &statement.instruction else { continue };
        let name = user.user.text.split(':').next().unwrap_or_default();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            findings.add(user.user.span, statement);
        }
    }
}
