//! DL3004: no `sudo`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3004",
    level: Level::Error,
    message: "Do not use sudo as it leads to unpredictable behavior. Use a tool like gosu to enforce root",
    same_as: None,
    page: include_str!("dl3004.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| command.is("sudo"));
}
