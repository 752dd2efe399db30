//! DL4001: `wget` or `curl`, not both.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL4001",
    level: Level::Warning,
    message: "Either use Wget or Curl but not both",
    same_as: None,
    page: include_str!("dl4001.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        let mut seen: Option<&str> = None;
        for statement in stage.body {
            for command in file.commands(statement) {
                let name = command.name();
                if !matches!(name, "wget" | "curl") {
                    continue;
                }
                if *seen.get_or_insert(name) != name {
                    findings.add(statement.keyword.span, statement);
                    break;
                }
            }
        }
    }
}
