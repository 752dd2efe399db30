//! DL3018: versions of `apk add` are pinned.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3018",
    level: Level::Warning,
    message: "Pin versions in apk add. Instead of `apk add <package>` use `apk add <package>=<version>`",
    same_as: None,
    page: include_str!("dl3018.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        (command.does("apk", "add"))
            && command
                .packages(&["-t", "--virtual", "-X", "--repository"])
                .any(|package| !is_fixed(package))
    });
}

/// Whether it is clear which version is meant.
fn is_fixed(package: &str) -> bool {
    package.contains(['=', '<', '>', '~']) || package.ends_with(".apk")
}
