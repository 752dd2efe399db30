//! WorkdirRelativePath: the first WORKDIR of a stage is absolute.

use super::{File, Findings, Rule};
use crate::ast::{Instruction, Stage};
use crate::go::quote;

pub(super) const RULE: Rule = Rule {
    name: "WorkdirRelativePath",
    description: "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    experimental: false,
    page: include_str!("workdir_relative_path.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    let mut is_set = Vec::new();
    for stage in &file.layout.stages {
        let inherited = file.parent(stage).is_some_and(|parent| is_set[parent.index]);
        is_set.push(inherited | check_stage(stage, inherited, findings));
    }
}

/// Looks at the first WORKDIR only: the others are right once that is. Whether there is one.
fn check_stage(stage: &Stage<'_>, inherited: bool, findings: &mut Findings) -> bool {
    let first = stage.body.iter().find_map(|statement| match &statement.instruction {
        Instruction::Workdir(workdir) => Some((statement, &workdir.path)),
        _ => None,
    });
    let Some((statement, path)) = first else { return false };
    let start = path.text.trim_start_matches(['"', '\'']);
    // What a variable holds is not known here.
    if !inherited && !start.starts_with(['/', '$']) {
        let message = format!(
            "Relative workdir {} can have unexpected results if the base image changes",
            quote(&path.text)
        );
        findings.add(&RULE, message, path.span, statement);
    }
    true
}
