//! DL3051: labels of the schema are not empty.

use super::{File, Findings, Level, Rule, labels};

pub(super) const RULE: Rule = Rule {
    code: "DL3051",
    level: Level::Warning,
    message: "label `<key>` is empty.",
    same_as: None,
    page: include_str!("dl3051.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for (statement, label) in labels::all(file) {
        for pair in &label.pairs {
            let key = labels::bare(&pair.key.text);
            let wanted = file.settings.label_schema.contains_key(&*key);
            if wanted && labels::bare(&pair.value.text).is_empty() {
                findings.say(format!("label `{key}` is empty."), pair.key.span, statement);
            }
        }
    }
}
