//! DL3033: versions of `yum install` are pinned.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3033",
    level: Level::Warning,
    message: "Specify version with `yum install -y <package>-<version>`.",
    same_as: None,
    page: include_str!("dl3033.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        (command.does("yum", "install")) && command.packages(&[]).any(|package| !is_fixed(package))
    });
}

/// Whether it is clear which version is meant.
fn is_fixed(package: &str) -> bool {
    package.contains('-') || package.ends_with(".rpm")
}
