//! DL3023: `COPY --from` names another stage.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3023",
    level: Level::Error,
    message: "`COPY --from` cannot reference its own `FROM` alias",
    same_as: None,
    page: include_str!("dl3023.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        for statement in stage.body {
            let Instruction::Copy(copy) = &statement.instruction else { continue };
            let Some(from) = &copy.from else { continue };
            if stage.from.stage_name() == Some(from.text.to_lowercase()) {
                findings.add(from.span, statement);
            }
        }
    }
}
