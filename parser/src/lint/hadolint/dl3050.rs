//! DL3050: there are no labels besides those of the schema.

use super::{File, Findings, Level, Rule, labels};

pub(super) const RULE: Rule = Rule {
    code: "DL3050",
    level: Level::Info,
    message: "Superfluous label(s) present.",
    same_as: None,
    page: include_str!("dl3050.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    if !file.settings.strict_labels {
        return;
    }
    for (statement, label) in labels::all(file) {
        let known = |key: &str| file.settings.label_schema.contains_key(key);
        for pair in label.pairs.iter().filter(|pair| !known(&labels::bare(&pair.key.text))) {
            findings.add(pair.key.span, statement);
        }
    }
}
