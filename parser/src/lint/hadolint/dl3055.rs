//! DL3055: labels that hold commits hold whole hashes.

use super::{
    File, Findings, Level, Rule,
    labels::{self, Kind},
};

pub(super) const RULE: Rule = Rule {
    code: "DL3055",
    level: Level::Warning,
    message: "Label `<key>` is not a valid git hash.",
    same_as: None,
    page: include_str!("dl3055.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    labels::not_of_kind(file, findings, Kind::Hash, labels::is_hash);
}
