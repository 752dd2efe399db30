//! DL3040: `dnf clean` after `dnf install`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3040",
    level: Level::Warning,
    message: "`dnf clean all` missing after dnf command.",
    same_as: None,
    page: include_str!("dl3040.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.without(
        findings,
        |command| command.does("dnf", "install") || command.does("dnf", "in"),
        |command| {
            command.does("dnf", "clean")
                || command.is("rm")
                    && command.arguments().any(|path| path.starts_with("/var/cache/dnf"))
        },
    );
}
