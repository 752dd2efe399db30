//! DL3049: labels that the schema asks for are there.

use super::{File, Findings, Level, Rule, labels};
use crate::ast::{Instruction, Stage, Statement};

pub(super) const RULE: Rule = Rule {
    code: "DL3049",
    level: Level::Info,
    message: "Label `<key>` is missing.",
    same_as: None,
    page: include_str!("dl3049.md"),
    check,
};

/// A stage is fine if it sets the label, or builds upon one that does. Stages that only lend files,
/// or that another one with the label builds upon, need none.
fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for key in file.settings.label_schema.keys() {
        let stages = &file.layout.stages;
        let mut fine = vec![false; stages.len()];
        let mut helps = vec![false; stages.len()];
        for stage in stages {
            let parent = file.parent(stage).map(|parent| parent.index);
            let sets = stage.body.iter().any(|statement| sets(statement, key));
            fine[stage.index] = sets || parent.is_some_and(|parent| fine[parent]);
            let lent = stage.body.iter().filter_map(|statement| lender(file, stage, statement));
            lent.for_each(|lender| helps[lender] = true);
            let mut below = parent.filter(|_| fine[stage.index]);
            while let Some(index) = below {
                helps[index] = true;
                below = file.parent(&stages[index]).map(|parent| parent.index);
            }
        }
        for stage in stages.iter().filter(|stage| !fine[stage.index] && !helps[stage.index]) {
            let message = format!("Label `{key}` is missing.");
            findings.say(message, stage.statement.keyword.span, stage.statement);
        }
    }
}

fn sets(statement: &Statement, key: &str) -> bool {
    let Instruction::Label(label) = &statement.instruction else { return false };
    label.pairs.iter().any(|pair| labels::bare(&pair.key.text) == key)
}

/// The stage that a COPY takes its files from.
fn lender(file: &File<'_>, stage: &Stage<'_>, statement: &Statement) -> Option<usize> {
    let Instruction::Copy(copy) = &statement.instruction else { return None };
    let from = &copy.from.as_ref()?.text;
    let named = file.layout.find(from, stage.index).map(|stage| stage.index);
    named.or_else(|| from.parse().ok().filter(|index| *index < stage.index))
}
