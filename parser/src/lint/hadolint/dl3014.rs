//! DL3014: `apt-get install -y`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3014",
    level: Level::Warning,
    message: "Use the `-y` switch to avoid manual input `apt-get -y install <package>`",
    same_as: None,
    page: include_str!("dl3014.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        command.does("apt-get", "install")
            && !command.has(&["-y", "--yes", "--assume-yes"])
            && command.arguments().filter(|w| matches!(*w, "-q" | "--quiet")).count() < 2
            && !command.has(&["-qq"])
    });
}
