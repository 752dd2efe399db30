//! DL3003: WORKDIR instead of `cd`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3003",
    level: Level::Warning,
    message: "Use WORKDIR to switch to a directory",
    same_as: None,
    page: include_str!("dl3003.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| command.is("cd"));
}
