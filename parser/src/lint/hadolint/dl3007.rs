//! DL3007: no tag `latest`.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3007",
    level: Level::Warning,
    message: "Using latest is prone to errors if the image will ever update. Pin the version explicitly to a release tag",
    same_as: None,
    page: include_str!("dl3007.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for (stage, image) in file.images() {
        if image.ends_with(":latest") {
            findings.add(stage.from.image.span, stage.statement);
        }
    }
}
