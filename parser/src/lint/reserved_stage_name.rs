//! ReservedStageName: no stage is called `scratch` or `context`.

use super::{File, Findings, Rule};
use crate::go::quote;

pub(super) const RULE: Rule = Rule {
    name: "ReservedStageName",
    description: "Reserved words should not be used as stage names",
    experimental: false,
    page: include_str!("reserved_stage_name.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        let (Some(word), Some(name)) = (&stage.from.name, stage.from.stage_name()) else {
            continue;
        };
        if matches!(name.as_str(), "scratch" | "context") {
            let message = format!(
                "Stage name should not use the same name as reserved stage {}",
                quote(&name)
            );
            findings.add(&RULE, message, word.span, stage.statement);
        }
    }
}
