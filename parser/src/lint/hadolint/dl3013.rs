//! DL3013: versions of `pip install` are pinned.

use super::shell::Command;
use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3013",
    level: Level::Warning,
    message: "Pin versions in pip. Instead of `pip install <package>` use `pip install <package>==<version>` or `pip install --requirement <requirements file>`",
    same_as: None,
    page: include_str!("dl3013.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        is_install(command)
            && !command.has(&["-r", "--requirement", "-c", "--constraint", "-e", "--editable"])
            && packages(command).any(|package| !is_fixed(package))
    });
}

fn is_install(command: &Command) -> bool {
    let is_pip = command.name().starts_with("pip");
    let by_python = command.name().starts_with("python")
        && command.words.get(1..3).is_some_and(|words| *words == ["-m", "pip"]);
    (is_pip || by_python) && command.arguments().any(|word| word == "install")
}

/// What follows `install` and is no flag.
fn packages(command: &Command) -> impl Iterator<Item = &str> {
    const VALUED: [&str; 8] = [
        "-i",
        "--index-url",
        "--extra-index-url",
        "--target",
        "-t",
        "--prefix",
        "--root",
        "--find-links",
    ];
    let plain = command.plain(&VALUED).skip_while(|word| *word != "install");
    plain.skip(1).filter(|word| !word.starts_with('$'))
}

/// Whether it is clear which version is meant.
fn is_fixed(package: &str) -> bool {
    ["==", "@", "~=", "/", ".whl", ".tar.gz", "<=", ">="].iter().any(|mark| package.contains(mark))
        || package.starts_with('.')
}
