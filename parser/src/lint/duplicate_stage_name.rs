//! DuplicateStageName: no two stages have one name.

use super::{File, Findings, Rule};
use crate::go::quote;

pub(super) const RULE: Rule = Rule {
    name: "DuplicateStageName",
    description: "Stage names should be unique",
    experimental: false,
    page: include_str!("duplicate_stage_name.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        let (Some(word), Some(name)) = (&stage.from.name, stage.from.stage_name()) else {
            continue;
        };
        let Some(earlier) = file.layout.find(&name, stage.index) else { continue };
        let message =
            format!("Duplicate stage name {}, stage names should be unique", quote(&name));
        findings.add(&RULE, message, word.span, stage.statement);
        if let (Some(finding), Some(first)) = (findings.found.pop(), &earlier.from.name) {
            findings.found.push(finding.and_label(first.span, "first used here"));
        }
    }
}
