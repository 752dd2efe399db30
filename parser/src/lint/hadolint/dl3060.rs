//! DL3060: `yarn cache clean` after `yarn install`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3060",
    level: Level::Info,
    message: "`yarn cache clean` missing after `yarn install` was run.",
    same_as: None,
    page: include_str!("dl3060.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.without(
        findings,
        |command| command.does("yarn", "install"),
        |command| command.does("yarn", "cache") && command.arguments().any(|word| word == "clean"),
    );
}
