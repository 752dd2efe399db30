//! DL3020: COPY, where ADD does nothing more.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;
use crate::remote::{SourceKind, source_kind};

pub(super) const RULE: Rule = Rule {
    code: "DL3020",
    level: Level::Error,
    message: "Use COPY instead of ADD for files and folders",
    same_as: None,
    page: include_str!("dl3020.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let Instruction::Add(add) = &statement.instruction else { continue };
        let is_plain = |path: &str| {
            !path.starts_with('$')
                && source_kind(path) == SourceKind::Path
                && ![".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".Z", ".lzma"]
                    .iter()
                    .any(|ending| path.ends_with(ending))
        };
        if add.transfer.paths().any(|path| is_plain(path.text.trim_matches(['"', '\'']))) {
            findings.add(statement.keyword.span, statement);
        }
    }
}
