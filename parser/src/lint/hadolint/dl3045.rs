//! DL3045: COPY to a relative target needs a WORKDIR.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3045",
    level: Level::Warning,
    message: "`COPY` to a relative destination without `WORKDIR` set.",
    same_as: None,
    page: include_str!("dl3045.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let mut is_set: Vec<bool> = Vec::new();
    for stage in &file.layout.stages {
        let mut set = file.parent(stage).is_some_and(|parent| is_set[parent.index]);
        for statement in stage.body {
            match &statement.instruction {
                Instruction::Workdir(_) => set = true,
                Instruction::Copy(copy) => {
                    let dest = &copy.transfer.dest;
                    let text = dest.text.trim_start_matches(['"', '\'']);
                    if !set && !text.starts_with(['/', '$']) && text.get(1..2) != Some(":") {
                        findings.add(dest.span, statement);
                    }
                }
                _ => {}
            }
        }
        is_set.push(set);
    }
}
