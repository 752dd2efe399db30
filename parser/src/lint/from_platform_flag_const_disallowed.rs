//! FromPlatformFlagConstDisallowed: `--platform` of FROM is a variable, not one platform.

use super::{File, Findings, Rule};
use crate::go::quote;

pub(super) const RULE: Rule = Rule {
    name: "FromPlatformFlagConstDisallowed",
    description: "FROM --platform flag should not use a constant value",
    experimental: false,
    page: include_str!("from_platform_flag_const_disallowed.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    for stage in &file.layout.stages {
        let Some(platform) = &stage.from.platform else { continue };
        if platform.text.contains('$') {
            continue;
        }
        // A stage for one platform that says so by its name is on purpose.
        let name = stage.from.stage_name().unwrap_or_default();
        let mut parts = platform.text.split('/').take(2);
        if parts.any(|part| !part.is_empty() && name.contains(&part.to_lowercase())) {
            continue;
        }
        let message =
            format!("FROM --platform flag should not use constant value {}", quote(&platform.text));
        findings.add(&RULE, message, platform.span, stage.statement);
    }
}
