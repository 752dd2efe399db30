//! DL3029: no constant `--platform` in FROM.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3029",
    level: Level::Warning,
    message: "Do not use --platform flag with FROM",
    same_as: Some("FromPlatformFlagConstDisallowed"),
    page: include_str!("dl3029.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for stage in &file.layout.stages {
        if let Some(platform) = &stage.from.platform
            && !platform.text.contains('$')
        {
            findings.add(platform.span, stage.statement);
        }
    }
}
