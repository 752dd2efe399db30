//! `import --change` and `commit --change`: instructions that set the config of an image which no
//! Dockerfile made.
//!
//! They are lowered as what follows `FROM`, so that they mean what they mean in a build.

use std::sync::Arc;

use gantry_image::{Config, ImageConfig, Platform};
use gantry_parser::ast::Statement;
use gantry_parser::{Diagnostic, Instruction, SourceFile, parse, parse_change};
use gantry_solver::{
    BoxFuture, ImageRequest, LowerOptions, Resolve, ResolveError, ResolvedImage, lower,
};

use super::TransferError;

/// Puts changes together, in their order.
///
/// # Errors
/// [`TransferError::Change`] for the first one that can't be understood.
pub(crate) fn changes(changes: &[String], platform: &Platform) -> Result<Config, TransferError> {
    apply(None, changes, platform)
}

/// Puts changes together upon a config that is there.
///
/// # Errors
/// As [`changes`].
pub(super) fn changes_upon(
    base: Config,
    changes: &[String],
    platform: &Platform,
) -> Result<Config, TransferError> {
    apply(Some(base), changes, platform)
}

fn apply(
    base: Option<Config>,
    changes: &[String],
    platform: &Platform,
) -> Result<Config, TransferError> {
    if changes.is_empty() {
        return Ok(base.unwrap_or_default());
    }
    let mut text = String::from(if base.is_some() { "FROM base" } else { "FROM scratch" });
    let mut base = base.unwrap_or_default();
    // A build would carry the triggers out, and forget them.
    let mut triggers = std::mem::take(&mut base.on_build);
    let sets_no_path = !base.env.iter().any(|variable| variable.starts_with("PATH="));
    let base = Base { config: base, platform: platform.clone() };
    for change in changes {
        let parsed = parse_change(&SourceFile::new("change", change.as_str()));
        first_error(parsed.diagnostics, change)?;
        let statements = parsed.dockerfile.statements.iter();
        statements.for_each(|statement| text.extend(["\n", &statement.text]));
    }
    let all = changes.join("; ");
    let parsed = parse(&SourceFile::new("changes", text));
    first_error(parsed.diagnostics, &all)?;
    let options =
        LowerOptions { platform: Some(platform.clone()), ..LowerOptions::new(Platform::host()) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(TransferError::io("start a runtime"))?;
    let lowered = match runtime.block_on(lower(&parsed.dockerfile, &options, &base)) {
        Ok(lowered) => lowered,
        Err(errors) => {
            first_error(errors.0, &all)?;
            return Ok(base.config);
        }
    };
    let mut config = lowered.config.config;
    // A build gives every image a PATH; an import has what it is told.
    if sets_no_path && !parsed.dockerfile.statements.iter().any(sets_path) {
        config.env.retain(|variable| !variable.starts_with("PATH="));
    }
    triggers.append(&mut config.on_build);
    config.on_build = triggers;
    Ok(config)
}

fn sets_path(statement: &Statement) -> bool {
    match &statement.instruction {
        Instruction::Env(env) => env.pairs.iter().any(|pair| pair.key.text == "PATH"),
        _ => false,
    }
}

fn first_error(diagnostics: Vec<Diagnostic>, change: &str) -> Result<(), TransferError> {
    match diagnostics.into_iter().find(Diagnostic::is_error) {
        Some(error) => {
            Err(TransferError::Change { change: change.to_owned(), message: error.message })
        }
        None => Ok(()),
    }
}

/// The image that the changes are made upon. No change names another.
struct Base {
    config: Config,
    platform: Platform,
}

impl Resolve for Base {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        let mut config = ImageConfig { config: self.config.clone(), ..ImageConfig::default() };
        config.set_platform(&self.platform);
        let image = ResolvedImage {
            reference: request.name.text().to_owned(),
            config_digest: String::new(),
            config: Arc::new(config),
            layers: Vec::new(),
        };
        Box::pin(async move { Ok(image) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(list: &[&str]) -> Result<Config, String> {
        let list: Vec<String> = list.iter().map(|change| (*change).to_owned()).collect();
        changes(&list, &Platform::host()).map_err(|error| error.to_string())
    }

    #[test]
    fn changes_mean_what_they_mean_in_a_build() {
        let made = config(&[
            "ENV A=b",
            "ENV C=${A}c",
            "WORKDIR /srv",
            "workdir data",
            "USER 1:2",
            "EXPOSE 80 443/udp",
            "VOLUME /v",
            "LABEL a=\"b c\"",
            "CMD echo hi",
            "ENTRYPOINT [\"/init\"]",
            "ONBUILD RUN make",
        ])
        .unwrap();
        assert_eq!(made.env, ["A=b", "C=bc"]);
        assert_eq!((made.working_dir.as_str(), made.user.as_str()), ("/srv/data", "1:2"));
        assert_eq!(made.exposed_ports.iter().collect::<Vec<_>>(), ["443/udp", "80/tcp"]);
        assert!(made.volumes.contains("/v") && made.labels["a"] == "b c");
        assert_eq!(made.cmd, ["/bin/sh", "-c", "echo hi"]);
        assert_eq!(made.entrypoint, ["/init"]);
        assert_eq!(made.on_build, ["RUN make"]);
        assert_eq!(config(&["ENV PATH=/x"]).unwrap().env, ["PATH=/x"]);
        assert_eq!(config(&[]).unwrap(), Config::default());
    }

    #[test]
    fn changes_are_made_upon_what_is_there() {
        let base = Config {
            env: vec!["A=1".into()],
            entrypoint: vec!["/e".into()],
            cmd: vec!["c".into()],
            on_build: vec!["RUN old".into()],
            working_dir: "/w".into(),
            ..Config::default()
        };
        let upon = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|change| (*change).to_owned()).collect();
            changes_upon(base.clone(), &list, &Platform::host()).unwrap()
        };
        assert_eq!(upon(&[]), base);
        let made = upon(&["ENV B=${A}2", "CMD [\"new\"]", "ONBUILD RUN new", "WORKDIR d"]);
        assert_eq!(made.env, ["A=1", "B=12"]);
        assert_eq!((made.entrypoint, made.cmd), (vec!["/e".to_owned()], vec!["new".to_owned()]));
        assert_eq!(made.on_build, ["RUN old", "RUN new"]);
        assert_eq!(made.working_dir, "/w/d");
        assert_eq!(upon(&["ENTRYPOINT [\"x\"]"]).cmd, [""; 0]);
    }

    #[test]
    fn what_is_no_change_is_refused() {
        assert_eq!(
            config(&["CMD x", "RUN true"]).unwrap_err(),
            "Failed to apply the change `RUN true`: run is not a valid change command"
        );
        assert!(config(&["ENV"]).is_err());
        assert!(config(&["USER a\nUSER b"]).is_err());
        assert!(config(&["USER a \\", "USER b"]).is_ok());
    }
}
