//! DL3035: no `zypper dist-upgrade`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3035",
    level: Level::Warning,
    message: "Do not use `zypper dist-upgrade`.",
    same_as: None,
    page: include_str!("dl3035.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        command.does("zypper", "dist-upgrade") || command.does("zypper", "dup")
    });
}
