//! DL3028: versions of `gem install` are pinned.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3028",
    level: Level::Warning,
    message: "Pin versions in gem install. Instead of `gem install <gem>` use `gem install <gem>:<version>`",
    same_as: None,
    page: include_str!("dl3028.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        (command.does("gem", "install") || command.does("gem", "i"))
            && !command.has(&["-v", "--version"])
            && command.packages(&["-i", "--install-dir"]).any(|package| !is_fixed(package))
    });
}

/// Whether it is clear which version is meant.
fn is_fixed(package: &str) -> bool {
    package.contains(':') || package.ends_with(".gem")
}
