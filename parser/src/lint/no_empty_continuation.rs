//! NoEmptyContinuation: no blank lines inside a continued instruction.

use super::{File, Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "NoEmptyContinuation",
    description: "Empty continuation lines will become errors in a future release",
    experimental: false,
    page: include_str!("no_empty_continuation.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in &file.dockerfile.statements {
        // One finding an instruction, however many lines are blank.
        if let Some(blank) = statement.blank_lines.first() {
            findings.add(&RULE, "Empty continuation line".to_owned(), *blank, statement);
        }
    }
}
