//! Which frontend a Dockerfile asks for (B2-06, B2-07). That of `docker/dockerfile` is built in,
//! in whatever version is asked for; another one would be a program that builds, and is refused.

use std::collections::BTreeMap;

use gantry_image::Reference;
use gantry_parser::{Diagnostic, Dockerfile, SourceFile, detect_syntax};

/// The build argument that takes the place of the file's `syntax` directive.
const OVERRIDE: &str = "BUILDKIT_SYNTAX";

/// What that may say to mean the frontend that is built in.
const BUILT_IN: &str = "dockerfile.v0";

/// Refuses a file that is written for a frontend which is not there.
///
/// # Errors
/// The name of the frontend, underlined where the file says it.
pub(super) fn check(
    source: &SourceFile,
    dockerfile: &Dockerfile,
    build_args: &BTreeMap<String, String>,
) -> Result<(), Vec<Diagnostic>> {
    if let Some(asked) = build_args.get(OVERRIDE) {
        let refused = match asked.trim() {
            "" => "empty BUILDKIT_SYNTAX build-arg is invalid, it must name a frontend".to_owned(),
            name if is_known(name) => return Ok(()),
            name => unsupported(name),
        };
        let error = Diagnostic::error_in_file(refused);
        return Err(vec![
            error.with_hint(format!("Leave the build argument out, or say `{BUILT_IN}`")),
        ]);
    }
    let Some(name) = detect_syntax(source).filter(|name| !is_known(name)) else { return Ok(()) };
    let error = match &dockerfile.directives.syntax {
        Some(word) => Diagnostic::error(unsupported(&name), word.span),
        // In one of the forms that are no directive.
        None => Diagnostic::error_in_file(unsupported(&name)),
    };
    Err(vec![error.with_hint(format!(
        "Try it as a Dockerfile with `--build-arg {OVERRIDE}={BUILT_IN}`, or name `docker/dockerfile:1`"
    ))])
}

fn unsupported(name: &str) -> String {
    format!("frontend {name} is not supported: Dockerfiles are read by gantry itself")
}

/// Says whether it is docker's own frontend, of any version, maybe out of a mirror.
fn is_known(name: &str) -> bool {
    let name = name.split_whitespace().next().unwrap_or_default();
    let docker = |name: Reference| {
        let path = name.path();
        ["docker/dockerfile", "docker/dockerfile-upstream"].iter().any(|known| {
            path.strip_suffix(known)
                .is_some_and(|mirror| mirror.is_empty() || mirror.ends_with('/'))
        })
    };
    name == BUILT_IN || name.parse().is_ok_and(docker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_own_is_known_in_every_version_and_place() {
        for name in [
            "dockerfile.v0",
            "docker/dockerfile",
            "docker/dockerfile:1.7-labs",
            "docker.io/docker/dockerfile:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "docker/dockerfile-upstream:master",
            "mirror.example:5000/hub/docker/dockerfile:1",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in
            ["", "dockerfile", "example/dockerfile", "evildocker/dockerfile", "r2d4/mockerfile"]
        {
            assert!(!is_known(name), "{name}");
        }
    }
}
