//! `import --change`: instructions that set the config of an image which no Dockerfile made.
//!
//! They are lowered as what follows `FROM scratch`, so that they mean what they mean in a build.

use gantry_image::{Config, Platform};
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
    if changes.is_empty() {
        return Ok(Config::default());
    }
    let mut text = String::from("FROM scratch");
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
    let lowered = match runtime.block_on(lower(&parsed.dockerfile, &options, &NoImages)) {
        Ok(lowered) => lowered,
        Err(errors) => {
            first_error(errors.0, &all)?;
            return Ok(Config::default());
        }
    };
    let mut config = lowered.config.config;
    // A build gives every image a PATH; an import has what it is told.
    if !parsed.dockerfile.statements.iter().any(sets_path) {
        config.env.retain(|variable| !variable.starts_with("PATH="));
    }
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

/// No change names an image.
struct NoImages;

impl Resolve for NoImages {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        let message = format!("`{}` can't be used by a change", request.name.text());
        Box::pin(async move { Err(ResolveError { message, source: None, hint: None }) })
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
