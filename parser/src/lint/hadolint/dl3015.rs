//! DL3015: `apt-get install --no-install-recommends`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3015",
    level: Level::Info,
    message: "Avoid additional packages by specifying `--no-install-recommends`",
    same_as: None,
    page: include_str!("dl3015.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        command.does("apt-get", "install")
            && !command.has(&["--no-install-recommends"])
            && !command.arguments().any(|word| word.starts_with("APT::Install-Recommends"))
    });
}
