//! DL3053: labels that hold times hold them as RFC 3339 writes them.

use super::{
    File, Findings, Level, Rule,
    labels::{self, Kind},
};

pub(super) const RULE: Rule = Rule {
    code: "DL3053",
    level: Level::Warning,
    message: "Label `<key>` is not a valid time format - must be conform to RFC3339.",
    same_as: None,
    page: include_str!("dl3053.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    labels::not_of_kind(file, findings, Kind::Rfc3339, labels::is_rfc3339);
}
