//! DL3034: `zypper install -y`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3034",
    level: Level::Warning,
    message: "Non-interactive switch missing from `zypper` command: `zypper install -y`",
    same_as: None,
    page: include_str!("dl3034.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        command.is("zypper")
            && command.plain(&[]).next().is_some_and(|verb| {
                matches!(
                    verb,
                    "install" | "in" | "remove" | "rm" | "patch" | "source-install" | "si"
                )
            })
            && !command.has(&["-n", "--non-interactive", "-y", "--no-confirm"])
    });
}
