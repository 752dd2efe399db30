//! MaintainerDeprecated: a label instead of MAINTAINER.

use super::{File, Findings, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    name: "MaintainerDeprecated",
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    experimental: false,
    page: include_str!("maintainer_deprecated.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in &file.dockerfile.statements {
        if let Instruction::Maintainer(_) = statement.instruction {
            let message = "Maintainer instruction is deprecated in favor of using label";
            findings.add(&RULE, message.to_owned(), statement.keyword.span, statement);
        }
    }
}
