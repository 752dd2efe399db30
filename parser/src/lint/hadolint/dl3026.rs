//! DL3026: images of trusted registries.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3026",
    level: Level::Error,
    message: "Use only an allowed registry in the FROM image",
    same_as: None,
    page: include_str!("dl3026.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    let trusted = &file.settings.trusted_registries;
    if trusted.is_empty() {
        return;
    }
    for (stage, image) in file.images() {
        let first = image.split_once('/').map(|(first, _)| first);
        let registry = first.filter(|first| first.contains(['.', ':']) || *first == "localhost");
        let registry = registry.unwrap_or("docker.io");
        let allows = |pattern: &String| match pattern.strip_prefix('*') {
            Some(ending) => registry.ends_with(ending),
            None => match pattern.strip_suffix('*') {
                Some(start) => registry.starts_with(start),
                None => {
                    pattern == registry || (pattern == "hub.docker.com" && registry == "docker.io")
                }
            },
        };
        if !trusted.iter().any(allows) {
            findings.add(stage.from.image.span, stage.statement);
        }
    }
}
