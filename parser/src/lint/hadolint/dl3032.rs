//! DL3032: `yum clean` after `yum install`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3032",
    level: Level::Warning,
    message: "`yum clean all` missing after yum command.",
    same_as: None,
    page: include_str!("dl3032.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.without(
        findings,
        |command| command.does("yum", "install") || command.does("yum", "in"),
        |command| {
            command.does("yum", "clean")
                || command.is("rm")
                    && command.arguments().any(|path| path.starts_with("/var/cache/yum"))
        },
    );
}
