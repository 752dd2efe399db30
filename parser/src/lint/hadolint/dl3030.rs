//! DL3030: `yum install -y`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3030",
    level: Level::Warning,
    message: "Use the -y switch to avoid manual input `yum install -y <package>`",
    same_as: None,
    page: include_str!("dl3030.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        ["install", "groupinstall", "localinstall"].iter().any(|verb| command.does("yum", verb))
            && !command.has(&["-y", "--assumeyes", "--yes"])
    });
}
