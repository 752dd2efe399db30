//! DL3022: `COPY --from` names a stage.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3022",
    level: Level::Warning,
    message: "`COPY --from` should reference a previously defined `FROM` alias",
    same_as: None,
    page: include_str!("dl3022.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        for statement in stage.body {
            let Instruction::Copy(copy) = &statement.instruction else { continue };
            let Some(from) = &copy.from else { continue };
            let is_stage = file.layout.find(&from.text, stage.index).is_some();
            let is_index = from.text.parse::<usize>().is_ok_and(|index| index < stage.index);
            let is_image = from.text.contains([':', '/', '@', '$']);
            if !is_stage && !is_index && !is_image {
                findings.add(from.span, statement);
            }
        }
    }
}
