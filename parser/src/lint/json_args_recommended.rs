//! JSONArgsRecommended: CMD and ENTRYPOINT are in JSON form, unless a SHELL was chosen on purpose.

use super::{File, Findings, Rule};
use crate::ast::{CommandLine, Instruction, Stage};

pub(super) const RULE: Rule = Rule {
    name: "JSONArgsRecommended",
    description: "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    experimental: false,
    page: include_str!("json_args_recommended.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    // Whether each stage ends with a SHELL of its own or its parent's.
    let mut has_shell = Vec::new();
    for stage in &file.layout.stages {
        let inherited = file.parent(stage).is_some_and(|parent| has_shell[parent.index]);
        has_shell.push(check_stage(stage, inherited, findings));
    }
}

fn check_stage(stage: &Stage<'_>, mut has_shell: bool, findings: &mut Findings) -> bool {
    for statement in stage.body {
        let command = match &statement.instruction {
            Instruction::Shell(_) => {
                has_shell = true;
                continue;
            }
            Instruction::Cmd(cmd) => &cmd.command,
            Instruction::Entrypoint(entrypoint) => &entrypoint.command,
            _ => continue,
        };
        if let (CommandLine::Shell(text), false) = (command, has_shell) {
            let message = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS \
                 signals",
                statement.instruction.name()
            );
            findings.add(&RULE, message, text.span, statement);
            if text.text.starts_with('[')
                && let Some(finding) = findings.found.pop()
            {
                let hint = "This is no valid JSON, so the shell runs it as it stands; JSON strings \
                            are in double quotes, with a comma between and none at the end";
                findings.found.push(finding.with_hint(hint));
            }
        }
    }
    has_shell
}
