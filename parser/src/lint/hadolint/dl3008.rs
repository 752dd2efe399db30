//! DL3008: versions of `apt-get install` are pinned.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3008",
    level: Level::Warning,
    message: "Pin versions in apt get install. Instead of `apt-get install <package>` use `apt-get install <package>=<version>`",
    same_as: None,
    page: include_str!("dl3008.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        (command.does("apt-get", "install"))
            && command
                .packages(&["-t", "--target-release", "-o", "-c"])
                .any(|package| !is_fixed(package))
    });
}

/// Whether it is clear which version is meant.
fn is_fixed(package: &str) -> bool {
    package.contains(['=', '/']) || package.ends_with(".deb")
}
