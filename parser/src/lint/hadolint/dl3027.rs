//! DL3027: `apt-get`, not `apt`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3027",
    level: Level::Warning,
    message: "Do not use apt as it is meant to be an end-user tool, use apt-get or apt-cache instead",
    same_as: None,
    page: include_str!("dl3027.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| command.is("apt"));
}
