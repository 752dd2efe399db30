//! DL3002: the last USER is not root.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3002",
    level: Level::Warning,
    message: "Last USER should not be root",
    same_as: None,
    page: include_str!("dl3002.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    if let Some(stage) = file.layout.stages.last() {
        let last = stage.body.iter().rev().find_map(|statement| match &statement.instruction {
            Instruction::User(user) => Some((statement, &user.user)),
            _ => None,
        });
        let Some((statement, user)) = last else { return };
        let name = user.text.split(':').next().unwrap_or_default();
        if matches!(name, "root" | "0") {
            findings.add(user.span, statement);
        }
    }
}
