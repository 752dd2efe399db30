//! DL3044: one ENV does not use what it defines.

use std::collections::BTreeSet;

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3044",
    level: Level::Error,
    message: "Do not refer to an environment variable within the same `ENV` statement where it is defined.",
    same_as: None,
    page: include_str!("dl3044.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let mut defined: BTreeSet<&str> = BTreeSet::new();
    for statement in &file.dockerfile.statements {
        match &statement.instruction {
            Instruction::From(_) => defined.clear(),
            Instruction::Arg(arg) => {
                defined.extend(arg.definitions.iter().map(|definition| definition.name.as_str()));
            }
            Instruction::Env(env) => {
                let new = |key: &str| !defined.contains(key);
                let uses = |value: &str, key: &str| {
                    let plain = format!("${key}");
                    value.contains(&format!("${{{key}}}"))
                        || value.match_indices(&plain).any(|(at, _)| {
                            let next = value[at + plain.len()..].chars().next();
                            !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                        })
                };
                for pair in &env.pairs {
                    let others = env.pairs.iter().filter(|other| other.key != pair.key);
                    let mut others = others.map(|other| other.key.as_str());
                    if others.any(|key| new(key) && uses(&pair.value.text, key)) {
                        findings.add(pair.value.span, statement);
                    }
                }
                defined.extend(env.pairs.iter().map(|pair| pair.key.as_str()));
            }
            _ => {}
        }
    }
}
