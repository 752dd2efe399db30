//! LegacyKeyValueFormat: `ENV k=v` and not `ENV k v`.

use super::{File, Findings, Rule};
use crate::ast::{Instruction, KeyValueForm};

pub(super) const RULE: Rule = Rule {
    name: "LegacyKeyValueFormat",
    description: "Legacy key/value format with whitespace separator should not be used",
    experimental: false,
    page: include_str!("legacy_key_value_format.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in &file.dockerfile.statements {
        let pairs = match &statement.instruction {
            Instruction::Env(env) => &env.pairs,
            Instruction::Label(label) => &label.pairs,
            _ => continue,
        };
        if let Some(pair) = pairs.iter().find(|pair| pair.form == KeyValueForm::Legacy) {
            let name = statement.instruction.name();
            let message = format!(
                "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
            );
            findings.add(&RULE, message, pair.key.span.to(pair.value.span), statement);
        }
    }
}
