//! DL3010: ADD unpacks archives.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3010",
    level: Level::Info,
    message: "Use `ADD` for extracting archives into an image",
    same_as: None,
    page: include_str!("dl3010.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        for (index, statement) in stage.body.iter().enumerate() {
            let Instruction::Copy(copy) = &statement.instruction else { continue };
            if copy.from.is_some() {
                continue;
            }
            let names: Vec<&str> = copy
                .transfer
                .paths()
                .map(|path| path.text.rsplit('/').next().unwrap_or_default())
                .filter(|name| ENDINGS.iter().any(|ending| name.ends_with(ending)))
                .collect();
            let unpacked =
                stage.body[index..].iter().flat_map(|later| file.commands(later)).any(|command| {
                    command.is("tar")
                        && command
                            .words
                            .get(1)
                            .is_some_and(|flags| flags == "--extract" || flags.contains('x'))
                        && command
                            .arguments()
                            .any(|word| names.iter().any(|name| word.ends_with(name)))
                });
            if unpacked {
                findings.add(statement.keyword.span, statement);
            }
        }
    }
}

/// What ADD knows to unpack.
const ENDINGS: [&str; 8] =
    [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"];
