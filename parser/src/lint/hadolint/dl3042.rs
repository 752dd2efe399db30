//! DL3042: `pip install --no-cache-dir`.

use super::shell::Command;
use super::{File, Findings, Level, Rule, is_mounted};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3042",
    level: Level::Warning,
    message: "Avoid use of cache directory with pip. Use `pip install --no-cache-dir <package>`",
    same_as: None,
    page: include_str!("dl3042.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let mut off = false;
    for statement in &file.dockerfile.statements {
        match &statement.instruction {
            Instruction::From(_) => off = false,
            Instruction::Env(env) => {
                off |= env.pairs.iter().any(|pair| pair.key.text == "PIP_NO_CACHE_DIR");
            }
            _ => {}
        }
        let installs = |command: &Command| {
            command.name().starts_with("pip")
                && command.name() != "pipenv"
                && command.plain(&[]).next() == Some("install")
                && !command.has(&["--no-cache-dir"])
        };
        let mounted =
            ["/root/.cache/pip", "/root/.cache"].iter().any(|path| is_mounted(statement, path));
        if !off && !mounted && file.commands(statement).iter().any(installs) {
            findings.add(statement.keyword.span, statement);
        }
    }
}
