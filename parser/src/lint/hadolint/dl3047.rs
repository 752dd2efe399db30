//! DL3047: `wget` without a bar.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3047",
    level: Level::Info,
    message: "Avoid use of wget without progress bar. Use `wget --progress=dot:giga <url>`. Or consider using `-q` or `-nv` (shorthands for `--quiet` or `--no-verbose`).",
    same_as: None,
    page: include_str!("dl3047.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        command.is("wget")
            && !command.has(&[
                "-q",
                "--quiet",
                "-nv",
                "--no-verbose",
                "--progress",
                "-o",
                "-a",
                "--output-file",
                "--append-output",
                "--help",
                "--version",
                "-V",
            ])
    });
}
