//! RedundantTargetPlatform: `--platform=$TARGETPLATFORM` is what FROM does anyway.

use super::{File, Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "RedundantTargetPlatform",
    description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    experimental: false,
    page: include_str!("redundant_target_platform.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        let Some(platform) = &stage.from.platform else { continue };
        if matches!(platform.text.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
            let message = format!(
                "Setting platform to predefined {platform} in FROM is redundant as this is the \
                 default behavior"
            );
            findings.add(&RULE, message, platform.span, stage.statement);
        }
    }
}
