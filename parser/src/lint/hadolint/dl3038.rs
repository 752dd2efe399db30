//! DL3038: `dnf install -y`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3038",
    level: Level::Warning,
    message: "Use the -y switch to avoid manual input `dnf install -y <package>`",
    same_as: None,
    page: include_str!("dl3038.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        ["install", "groupinstall", "localinstall"].iter().any(|verb| command.does("dnf", verb))
            && !command.has(&["-y", "--assumeyes", "--yes"])
    });
}
