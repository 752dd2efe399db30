//! FromAsCasing: `AS` is written in the case of `FROM`.

use super::{File, Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "FromAsCasing",
    description: "The 'as' keyword should match the case of the 'from' keyword",
    experimental: false,
    page: include_str!("from_as_casing.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        let (from, Some(word)) = (&stage.statement.keyword, &stage.from.as_keyword) else {
            continue;
        };
        // A `From` in mixed case is for ConsistentInstructionCasing to complain about.
        let lower = from.text == from.text.to_lowercase();
        let upper = from.text == from.text.to_uppercase();
        let fits = match (lower, upper) {
            (true, _) => word.text == word.text.to_lowercase(),
            (_, true) => word.text == word.text.to_uppercase(),
            _ => true,
        };
        if !fits {
            let message = format!("'{word}' and '{from}' keywords' casing do not match");
            findings.add(&RULE, message, word.span, stage.statement);
        }
    }
}
