//! DL3024: names of stages are unique.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3024",
    level: Level::Error,
    message: "FROM aliases (stage names) must be unique",
    same_as: Some("DuplicateStageName"),
    page: include_str!("dl3024.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        let (Some(word), Some(name)) = (&stage.from.name, stage.from.stage_name()) else {
            continue;
        };
        if file.layout.find(&name, stage.index).is_some() {
            findings.add(word.span, stage.statement);
        }
    }
}
