//! DL4006: pipes fail with any of their parts.

use super::{File, Findings, Level, Rule};
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL4006",
    level: Level::Warning,
    message: "Set the SHELL option -o pipefail before RUN with a pipe in it. If you are using /bin/sh in an alpine image or if your shell is symlinked to busybox then consider explicitly setting your SHELL to /bin/ash, or disable this check",
    same_as: None,
    page: include_str!("dl4006.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let mut is_set: Vec<bool> = Vec::new();
    for stage in &file.layout.stages {
        let mut safe = file.parent(stage).is_some_and(|parent| is_set[parent.index]);
        for statement in stage.body {
            if let Instruction::Shell(shell) = &statement.instruction {
                let first = shell.argv.first().map_or("", |word| word.as_str());
                let other = ["pwsh", "powershell", "cmd"].iter().any(|name| first.contains(name));
                safe = other || shell.argv.iter().any(|word| word.text.contains("pipefail"));
            }
            let commands = file.commands(statement);
            let sets = commands.iter().any(|command| {
                command.is("set") && command.arguments().any(|word| word == "pipefail")
            });
            if !safe && !sets && commands.iter().any(|command| command.piped) {
                findings.add(statement.keyword.span, statement);
            }
        }
        is_set.push(safe);
    }
}
