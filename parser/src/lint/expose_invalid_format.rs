//! ExposeInvalidFormat: no address and no host port in EXPOSE.

use super::{File, Findings, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    name: "ExposeInvalidFormat",
    description: "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    experimental: false,
    page: include_str!("expose_invalid_format.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in &file.dockerfile.statements {
        let Instruction::Expose(expose) = &statement.instruction else { continue };
        for port in expose.ports.iter().filter(|port| !port.may_expand()) {
            if port.text.contains(':') {
                let message = format!(
                    "EXPOSE instruction should not define an IP address or host-port mapping, \
                     found '{port}'"
                );
                findings.add(&RULE, message, port.span, statement);
            }
        }
    }
}
