//! `--build-context`: contexts with names.

use std::collections::BTreeMap;
use std::path::Path;

use gantry_executor::NamedContext;
use gantry_image::{Platform, Reference};
use gantry_parser::remote::{SourceKind, source_kind};
use gantry_solver::lower::BadAddress;
use gantry_solver::op::{GitOp, HttpOp};

use crate::ui::Failure;

/// Reads `NAME=SOURCE`; of equal names the last one counts.
///
/// # Errors
/// In buildx's words.
pub(super) fn named(texts: &[String]) -> Result<BTreeMap<String, NamedContext>, Failure> {
    let mut contexts = BTreeMap::new();
    for text in texts {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::text(format_args!("invalid context value: {text}, expected key=value"))
                .with_hint("Write it like `--build-context name=DIR`")
        })?;
        contexts.insert(context_name(name)?, named_context(name, value)?);
    }
    Ok(contexts)
}

/// A name as `FROM` would have it, `:latest` left out; what follows `::` is a platform (B8-16).
fn context_name(text: &str) -> Result<String, Failure> {
    let (name, platform) = match text.split_once("::") {
        Some((name, platform)) => (name, Some(platform)),
        None => (text, None),
    };
    let reference: Reference = name
        .to_lowercase()
        .parse()
        .map_err(|err| Failure::new(err).context(format!("invalid context name {name}")))?;
    let familiar = reference.familiar();
    let name = familiar.strip_suffix(":latest").unwrap_or(&familiar);
    match platform {
        Some(platform) => Ok(format!("{name}::{}", platform.parse::<Platform>()?)),
        None => Ok(name.to_owned()),
    }
}

/// B8-17.
fn named_context(name: &str, value: &str) -> Result<NamedContext, Failure> {
    let kind = match source_kind(value) {
        SourceKind::Path if value.starts_with("github.com/") && !Path::new(value).exists() => {
            SourceKind::Git
        }
        kind => kind,
    };
    match (kind, value.split_once("://")) {
        (SourceKind::Git, _) => {
            let invalid = |err: BadAddress| {
                Failure::text(format_args!("invalid context specifier {value} for {name}: {err}"))
                    .with_hint(err.hint())
            };
            Ok(NamedContext::Git(GitOp::parse(value).map_err(invalid)?))
        }
        (SourceKind::Http, _) => Ok(NamedContext::Http(HttpOp::new(value))),
        (SourceKind::Path, Some(("docker-image", image))) => {
            Ok(NamedContext::Image(image.to_owned()))
        }
        (SourceKind::Path, Some(("oci-layout", layout))) => {
            Ok(NamedContext::OciLayout(layout.to_owned()))
        }
        (SourceKind::Path, Some((scheme, _))) => Err(Failure::text(format_args!(
            "unsupported context source {scheme} for {name}"
        ))
        .with_hint(
            "There are directories, docker-image://, oci-layout://, git repositories and http(s)",
        )),
        (SourceKind::Path, None) => match value.strip_prefix("target:") {
            Some(_) => {
                Err(Failure::text(format_args!("unsupported context source target for {name}"))
                    .with_hint("Targets are contexts in bake files only; name a stage or an image"))
            }
            None => Ok(NamedContext::Directory(value.into())),
        },
    }
}
