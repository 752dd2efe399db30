//! DL3054: labels that hold licences hold identifiers of SPDX.

use super::{
    File, Findings, Level, Rule,
    labels::{self, Kind},
};

pub(super) const RULE: Rule = Rule {
    code: "DL3054",
    level: Level::Warning,
    message: "Label `<key>` is not a valid SPDX identifier.",
    same_as: None,
    page: include_str!("dl3054.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    labels::not_of_kind(file, findings, Kind::Spdx, labels::is_spdx);
}
