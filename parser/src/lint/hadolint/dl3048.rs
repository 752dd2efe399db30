//! DL3048: keys of labels are well formed.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3048",
    level: Level::Style,
    message: "Invalid label key.",
    same_as: None,
    page: include_str!("dl3048.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let Instruction::Label(label) = &statement.instruction else { continue };
        for pair in &label.pairs {
            let key = pair.key.text.trim_matches(['"', '\'']);
            if !key.contains('$') && !is_valid(key) {
                findings.add(pair.key.span, statement);
            }
        }
    }
}

fn is_valid(key: &str) -> bool {
    let reserved = ["com.docker.", "io.docker.", "org.dockerproject."];
    let is_end =
        |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && is_end(key.bytes().last())
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && !key.contains("..")
        && !key.contains("--")
        && !reserved.iter().any(|prefix| key.starts_with(prefix))
}
