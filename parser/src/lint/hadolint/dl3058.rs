//! DL3058: labels that hold addresses for mail hold valid ones.

use super::{
    File, Findings, Level, Rule,
    labels::{self, Kind},
};

pub(super) const RULE: Rule = Rule {
    code: "DL3058",
    level: Level::Warning,
    message: "Label `<key>` is not a valid email format - must be conform to RFC5322.",
    same_as: None,
    page: include_str!("dl3058.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    labels::not_of_kind(file, findings, Kind::Email, labels::is_email);
}
