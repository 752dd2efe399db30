//! DL3052: labels that hold addresses hold valid ones.

use super::{
    File, Findings, Level, Rule,
    labels::{self, Kind},
};

pub(super) const RULE: Rule = Rule {
    code: "DL3052",
    level: Level::Warning,
    message: "Label `<key>` is not a valid URL.",
    same_as: None,
    page: include_str!("dl3052.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    labels::not_of_kind(file, findings, Kind::Url, labels::is_url);
}
