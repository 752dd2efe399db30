//! StageNameCasing: names of stages are lower case.

use super::{File, Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "StageNameCasing",
    description: "Stage names should be lowercase",
    experimental: false,
    page: include_str!("stage_name_casing.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        let Some(name) = &stage.from.name else { continue };
        if name.text != name.text.to_lowercase() {
            let message = format!("Stage name '{name}' should be lowercase");
            findings.add(&RULE, message, name.span, stage.statement);
        }
    }
}
