//! DL3019: `apk add --no-cache`.

use super::shell::Command;
use super::{File, Findings, Level, Rule, is_mounted};

pub(super) const RULE: Rule = Rule {
    code: "DL3019",
    level: Level::Info,
    message: "Use the `--no-cache` switch to avoid the need to use `--update` and remove `/var/cache/apk/*` when done installing packages",
    same_as: None,
    page: include_str!("dl3019.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let adds = |command: &Command| command.does("apk", "add") && !command.has(&["--no-cache"]);
        let mounted = is_mounted(statement, "/var/cache/apk");
        if file.commands(statement).iter().any(adds) && !mounted {
            findings.add(statement.keyword.span, statement);
        }
    }
}
