//! Flags that `podman build` and `buildah build` have besides docker's (C1-32).

use std::path::{Path, PathBuf};

use super::values::{KeyValue, parse_bool};
use crate::args::Transfer;
use crate::ui::Failure;

/// See the module. What is not supported is here to be refused with a reason.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of podman build")]
pub(super) struct Podman {
    /// Read build-time variables from a file of `NAME=VALUE` lines
    #[arg(long, value_name = "path")]
    pub(super) build_arg_file: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) transfer: Transfer,
    /// How long cached steps may be used; only 0, which is `--no-cache`
    #[arg(long, value_name = "duration", hide = true)]
    pub(super) cache_ttl: Option<String>,
    /// Set an environment variable of the image, and of no step
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(super) envs: Vec<KeyValue>,
    /// Media types of the image: `oci` or `docker`
    #[arg(long, value_name = "format", value_parser = ["oci", "docker"])]
    pub(super) format: Option<String>,
    /// Build upon this image instead of the one that the first `FROM` names
    #[arg(long, value_name = "image")]
    pub(super) from: Option<String>,
    /// Read ignore patterns from this file instead of `.dockerignore`
    #[arg(long, value_name = "path")]
    pub(super) ignorefile: Option<PathBuf>,
    /// How many steps may run at once; as many as there are CPUs if 0
    #[arg(long, value_name = "number", default_value_t = 0)]
    pub(super) jobs: usize,
    /// Make a layer of each step, and keep it in the cache; `=false` is `--no-cache --squash`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, value_name = "bool")]
    pub(super) layers: Option<bool>,
    /// Another name for the image; for an index, if there are several platforms
    #[arg(long, value_name = "name")]
    pub(super) manifest: Option<String>,
    /// Leave out stages that the target doesn't need, which always happens
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, value_name = "bool", hide = true)]
    pub(super) skip_unused_stages: Option<bool>,
    /// Set the time that stands for now, as `--source-date-epoch` does
    #[arg(long, value_name = "seconds")]
    pub(super) timestamp: Option<String>,
    /// Remove an environment variable from the image
    #[arg(long = "unsetenv", value_name = "NAME")]
    pub(super) unset_envs: Vec<String>,
    /// Remove a label from the image
    #[arg(long = "unsetlabel", value_name = "NAME")]
    pub(super) unset_labels: Vec<String>,
    /// Mount a directory of this host into steps; refused
    #[arg(short, long = "volume", value_name = "host:container", hide = true)]
    pub(super) volumes: Vec<String>,
}

impl Podman {
    /// Says what of it can't be done.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if !self.volumes.is_empty() {
            return Err(Failure::text("--volume is not supported").with_hint(
                "Name the directory with `--build-context name=path`, and mount it with \
                 `RUN --mount=type=bind,from=name,target=…`",
            ));
        }
        if self.skip_unused_stages == Some(false) {
            return Err(Failure::text("--skip-unused-stages=false is not supported")
                .with_hint("Build the other stages with `--target`"));
        }
        match self.cache_ttl.as_deref() {
            None | Some("0" | "0s") => Ok(()),
            Some(_) => Err(Failure::text("--cache-ttl takes only 0, which is `--no-cache`")
                .with_hint("`gantry prune --keep-used-within` removes what is old")),
        }
    }

    /// Whether all steps are to run.
    pub(super) fn no_cache(&self) -> bool {
        self.cache_ttl.is_some() || self.layers == Some(false)
    }

    /// The variables of all `--build-arg-file`s, in their order.
    pub(super) fn build_args(&self) -> Result<Vec<KeyValue>, Failure> {
        let mut args = Vec::new();
        for path in &self.build_arg_file {
            let text = fs_err::read_to_string(path)?;
            args.extend(lines(path, &text)?);
        }
        Ok(args)
    }
}

/// Reads `NAME=VALUE` lines; empty ones and those that begin with `#` mean nothing.
fn lines(path: &Path, text: &str) -> Result<Vec<KeyValue>, Failure> {
    let mut args = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let arg = line.parse().map_err(|err: String| {
            Failure::text(format_args!("{}:{number}: {err}", path.display()))
        })?;
        args.push(arg);
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_files_have_a_variable_a_line() {
        let read = |text: &str| lines(Path::new("f"), text).map_err(|err| err.to_string());
        let args = read("# comment\nA=1\n\n  B=x=y \nC\n").unwrap();
        let pairs: Vec<_> =
            args.iter().map(|arg| (arg.key.as_str(), arg.value.as_deref())).collect();
        assert_eq!(pairs, [("A", Some("1")), ("B", Some("x=y")), ("C", None)]);
        assert_eq!(read("A=1\n=2\n").unwrap_err(), "f:2: invalid key-value pair: \"=2\"");
    }
}
