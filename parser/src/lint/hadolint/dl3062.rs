//! DL3062: versions of `go install` are pinned.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3062",
    level: Level::Warning,
    message: "Pin versions in go. Instead of `go install <package>` use `go install <package>@<version>`",
    same_as: None,
    page: include_str!("dl3062.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        let is_remote = |package: &str| {
            package
                .split('/')
                .next()
                .is_some_and(|host| host.contains('.') && !host.starts_with('.'))
        };
        (command.does("go", "install") || command.does("go", "get"))
            && command.packages(&["-ldflags", "-tags", "-mod"]).any(|package| {
                is_remote(package)
                    && package.split_once('@').is_none_or(|(_, version)| version == "latest")
            })
    });
}
