//! DL3016: versions of `npm install` are pinned.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3016",
    level: Level::Warning,
    message: "Pin versions in npm. Instead of `npm install <package>` use `npm install <package>@<version>`",
    same_as: None,
    page: include_str!("dl3016.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        (command.does("npm", "install") || command.does("npm", "i"))
            && command
                .packages(&["--prefix", "--registry", "--loglevel"])
                .any(|package| !is_fixed(package))
    });
}

/// Whether it is clear which version is meant.
fn is_fixed(package: &str) -> bool {
    package.trim_start_matches('@').contains('@')
        || package.starts_with(['.', '/'])
        || package.contains("://")
        || [".tgz", ".tar.gz", ".tar"].iter().any(|ending| package.ends_with(ending))
}
