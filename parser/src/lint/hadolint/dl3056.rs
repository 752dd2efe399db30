//! DL3056: labels that hold versions hold semantic ones.

use super::{
    File, Findings, Level, Rule,
    labels::{self, Kind},
};

pub(super) const RULE: Rule = Rule {
    code: "DL3056",
    level: Level::Warning,
    message: "Label `<key>` does not conform to semantic versioning.",
    same_as: None,
    page: include_str!("dl3056.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    labels::not_of_kind(file, findings, Kind::Semver, labels::is_semver);
}
