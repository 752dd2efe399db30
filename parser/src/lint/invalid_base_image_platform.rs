//! InvalidBaseImagePlatform: the base image is for the platform that is built for.

use super::{File, Findings, Rule};
use crate::go::quote;

pub(super) const RULE: Rule = Rule {
    name: "InvalidBaseImagePlatform",
    description: "Base image platform does not match expected target platform",
    experimental: false,
    page: include_str!("invalid_base_image_platform.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    let globals = file.globals(file.world.build_args);
    for stage in &file.layout.stages {
        let image = &stage.from.image;
        let Some(base) = file.base(stage, &globals) else { continue };
        let Some(wanted) = file.wanted(stage, &globals) else { continue };
        if !wanted.is_empty() && !fits(&base.platform, &wanted) {
            let message = format!(
                "Base image {image} was pulled with platform {}, expected {} for current build",
                quote(&base.platform),
                quote(&wanted)
            );
            findings.add(&RULE, message, image.span, stage.statement);
        }
    }
}

/// Whether operating system and architecture are the same; variants of one are let through.
fn fits(has: &str, wanted: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        text.split('/').take(2).map(|part| part.to_lowercase()).collect()
    };
    let (has, wanted) = (parts(has), parts(wanted));
    has.len() < 2 || wanted.len() < 2 || has == wanted
}
