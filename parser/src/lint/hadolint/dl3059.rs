//! DL3059: consecutive RUNs.

use super::{File, Findings, Level, Rule};
use crate::ast::{Instruction, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL3059",
    level: Level::Info,
    message: "Multiple consecutive `RUN` instructions. Consider consolidation.",
    same_as: None,
    page: include_str!("dl3059.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        for pair in stage.body.windows(2) {
            let [first, second] = pair else { continue };
            let (Instruction::Run(a), Instruction::Run(b)) =
                (&first.instruction, &second.instruction)
            else {
                continue;
            };
            // What is long already, or has other flags, is apart on purpose.
            let is_short = |s: &Statement| file.commands(s).len() <= 2;
            let same_flags = first.flags.is_empty() && second.flags.is_empty();
            let no_heredoc = a.heredocs.is_empty() && b.heredocs.is_empty();
            if same_flags && no_heredoc && is_short(first) && is_short(second) {
                findings.add(second.keyword.span, second);
            }
        }
    }
}
