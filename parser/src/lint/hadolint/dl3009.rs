//! DL3009: the lists of apt are deleted.

use super::{File, Findings, Level, Rule, is_mounted};

pub(super) const RULE: Rule = Rule {
    code: "DL3009",
    level: Level::Info,
    message: "Delete the apt-get lists after installing something",
    same_as: None,
    page: include_str!("dl3009.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let commands = file.commands(statement);
        let updates = commands.iter().any(|command| command.does("apt-get", "update"));
        let removes = commands.iter().any(|command| {
            command.is("rm") && command.arguments().any(|path| path.starts_with("/var/lib/apt"))
        });
        let mounted = ["/var/lib/apt/lists", "/var/lib/apt"];
        if updates && !removes && !mounted.iter().any(|path| is_mounted(statement, path)) {
            findings.add(statement.keyword.span, statement);
        }
    }
}
