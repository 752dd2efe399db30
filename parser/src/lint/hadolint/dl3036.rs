//! DL3036: `zypper clean` after `zypper install`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3036",
    level: Level::Warning,
    message: "`zypper clean` missing after zypper use.",
    same_as: None,
    page: include_str!("dl3036.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.without(
        findings,
        |command| command.does("zypper", "install") || command.does("zypper", "in"),
        |command| {
            command.does("zypper", "clean")
                || command.is("rm")
                    && command.arguments().any(|path| path.starts_with("/var/cache/zypper"))
        },
    );
}
