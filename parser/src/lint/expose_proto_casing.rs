//! ExposeProtoCasing: protocols of EXPOSE are lower case.

use super::{File, Findings, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    name: "ExposeProtoCasing",
    description: "Protocol in EXPOSE instruction should be lowercase",
    experimental: false,
    page: include_str!("expose_proto_casing.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in &file.dockerfile.statements {
        let Instruction::Expose(expose) = &statement.instruction else { continue };
        for port in expose.ports.iter().filter(|port| !port.may_expand()) {
            let protocol = port.text.split_once('/').map_or("", |(_, protocol)| protocol);
            if protocol != protocol.to_lowercase() {
                let message =
                    format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
                findings.add(&RULE, message, port.span, statement);
            }
        }
    }
}
