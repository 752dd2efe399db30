//! DL3006: base images have a tag.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3006",
    level: Level::Warning,
    message: "Always tag the version of an image explicitly",
    same_as: None,
    page: include_str!("dl3006.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for (stage, image) in file.images() {
        let last = image.rsplit('/').next().unwrap_or(image);
        if !last.contains([':', '@', '$']) {
            findings.add(stage.from.image.span, stage.statement);
        }
    }
}
