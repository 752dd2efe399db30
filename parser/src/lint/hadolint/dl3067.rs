//! DL3067: no stage is copied whole.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3067",
    level: Level::Warning,
    message: "Do not copy an entire filesystem from another stage",
    same_as: None,
    page: include_str!("dl3067.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let is_root = |text: &str| text.trim_matches(['"', '\'']) == "/";
    for statement in &file.dockerfile.statements {
        let Instruction::Copy(copy) = &statement.instruction else { continue };
        let Some(from) = &copy.from else { continue };
        let mut paths = copy.transfer.paths();
        if is_root(&copy.transfer.dest.text) && paths.any(|path| is_root(&path.text)) {
            findings.add(from.span, statement);
        }
    }
}
