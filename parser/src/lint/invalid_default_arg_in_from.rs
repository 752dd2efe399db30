//! InvalidDefaultArgInFrom: FROM names an image also when no build argument is given.

use super::{File, Findings, Rule};
use crate::expand::Lexer;

pub(super) const RULE: Rule = Rule {
    name: "InvalidDefaultArgInFrom",
    description: "Default value for global ARG results in an empty or invalid base image name",
    experimental: false,
    page: include_str!("invalid_default_arg_in_from.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    let defaults = file.globals(&());
    let lexer = Lexer::new(file.dockerfile.directives.escape);
    for stage in &file.layout.stages {
        let image = &stage.from.image;
        let Ok(expanded) = lexer.value(&image.text, &defaults) else { continue };
        let has_variables = !expanded.used.is_empty() || !expanded.unset.is_empty();
        if has_variables && !is_name(&expanded.text) {
            let message = format!(
                "Default value for ARG {image} results in empty or invalid base image name"
            );
            findings.add(&RULE, message, image.span, stage.statement);
        }
    }
}

/// Whether text can be a reference to an image. Not as strict as a registry: what is missed here
/// is what an empty value leaves behind.
fn is_name(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(r, d)| (r, Some(d)));
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| is_word(c) || c == ':')
    };
    let is_tag =
        |tag: &str| !tag.is_empty() && tag.chars().all(is_word) && !tag.starts_with(['.', '-']);
    let last = name.rsplit('/').next().unwrap_or(name);
    name.split('/').all(is_part)
        && last == last.to_lowercase()
        && tag.is_none_or(is_tag)
        && digest
            .is_none_or(|digest| digest.split_once(':').is_some_and(|(_, hex)| hex.len() >= 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_empty_value_leaves_is_no_name() {
        for name in ["busybox", "a/b:1.2", "host:5000/a/b", "Host.example/a"] {
            assert!(is_name(name), "{name}");
        }
        for bad in
            ["", "busybox:", ":latest", "a//b", "/a", "a/", "busybox:${X", "Busybox", "a@sha256:"]
        {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
