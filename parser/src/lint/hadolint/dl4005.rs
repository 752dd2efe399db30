//! DL4005: SHELL instead of a link.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL4005",
    level: Level::Warning,
    message: "Use SHELL to change the default shell",
    same_as: None,
    page: include_str!("dl4005.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        command.is("ln") && command.arguments().any(|word| word == "/bin/sh")
    });
}
