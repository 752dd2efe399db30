//! What is checked: a Dockerfile, and what rules may know besides.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use gantry_executor::{ContextSource, DockerfileSource};
use gantry_image::Platform;
use gantry_parser::ast::CheckOptions;
use gantry_parser::ignore::IgnoreFile;
use gantry_parser::lint::{self, Base, World};
use gantry_parser::{Dockerfile, Parsed, SourceFile, parse, parse_check};

use super::report::Finding;
use crate::commands::Context;
use crate::commands::build::source::Sources;
use crate::commands::build::values::KeyValue;
use crate::commands::images::read_config;
use crate::commands::parse::refuse_errors;
use crate::ui::Failure;

/// A Dockerfile that is to be checked.
pub(super) struct Input {
    pub(super) source: SourceFile,
    /// Where it was read from; `None` for stdin.
    pub(super) path: Option<PathBuf>,
    ignore: Option<IgnoreFile>,
}

/// Names of a Dockerfile in a directory.
const NAMES: [&str; 3] = ["Dockerfile", "dockerfile", "Containerfile"];

impl Input {
    /// Finds it by the argument of `gantry check`.
    pub(super) fn find(path: &str, file: Option<&str>) -> Result<Self, Failure> {
        if path == "-" {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            let source = SourceFile::from_bytes("Dockerfile", &bytes);
            return Ok(Self { source, path: None, ignore: None });
        }
        let path = Path::new(path);
        if path.is_dir() {
            let name = file.map_or_else(|| default_name(path).to_owned(), str::to_owned);
            return Self::read(path, &name);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::read(path.parent().unwrap_or(Path::new("")), &name)
    }

    /// Takes what a build would be made from.
    pub(super) fn of_build(sources: Sources) -> Result<Self, Failure> {
        let Sources { context, dockerfile, ignore } = sources;
        let given = ignore.and_then(|(_, text)| IgnoreFile::parse(&text).ok());
        match (dockerfile, context) {
            (DockerfileSource::Text(source), context) => {
                let ignore = match (given, &context) {
                    (None, ContextSource::Directory(path)) => ignore_file(path, "Dockerfile"),
                    (given, _) => given,
                };
                Ok(Self { source, path: None, ignore })
            }
            (DockerfileSource::InContext(name), ContextSource::Directory(path)) => {
                Self::read(&path, &name)
            }
            (DockerfileSource::Default, ContextSource::Directory(path)) => {
                Self::read(&path, default_name(&path))
            }
            _ => Err(Failure::text("Checks need a Dockerfile of this host")
                .with_hint("Fetch the context first, and name the directory")),
        }
    }

    fn read(directory: &Path, name: &str) -> Result<Self, Failure> {
        let path = directory.join(name);
        let unreadable = |err| Failure::new(err).context("failed to read dockerfile");
        let bytes = fs_err::read(&path).map_err(unreadable)?;
        let source = SourceFile::from_bytes(name, &bytes);
        Ok(Self { source, path: Some(path), ignore: ignore_file(directory, name) })
    }

    /// Parses it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) fn parse(&self) -> Result<Parsed, Failure> {
        let parsed = parse(&self.source);
        refuse_errors(&self.source, &parsed)?;
        Ok(parsed)
    }

    /// What BuildKit's rules find. What they want to know of base images is looked up in the store.
    pub(super) fn findings(
        &self,
        dockerfile: &Dockerfile,
        build_args: &[KeyValue],
        platform: Option<&str>,
        context: &Context,
    ) -> Result<Vec<Finding>, Failure> {
        let values = values(build_args);
        let options = check_options(&values)?;
        // A store that can't be read has nothing to say; that is for `build` to complain about.
        let store = context.existing_store().ok().flatten();
        let base = |name: &str, _: &str| {
            let store = store.as_ref()?;
            let image = store.images().resolve(name).ok()?;
            let config = read_config(&image, store).ok()?;
            let pair = |var: &String| {
                let (name, value) = var.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            };
            let env = config.value().config.env.iter().filter_map(pair).collect();
            Some(Base { env, platform: image.platform.to_string() })
        };
        let host = Platform::host().to_string();
        let world = World {
            build_args: &values,
            ignore: self.ignore.as_ref(),
            platform: platform.unwrap_or(&host),
            base: &base,
        };
        let found = lint::check_in(dockerfile, options.as_ref(), &world);
        Ok(found.into_iter().map(Finding::of_buildkit).collect())
    }
}

/// Build arguments; those without a value take the environment's.
pub(super) fn values(args: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |arg: &KeyValue| arg.value.clone().or_else(|| std::env::var(&arg.key).ok());
    args.iter().filter_map(|arg| Some((arg.key.clone(), value(arg)?))).collect()
}

fn check_options(values: &BTreeMap<String, String>) -> Result<Option<CheckOptions>, Failure> {
    let text = values.get("BUILDKIT_DOCKERFILE_CHECK");
    text.map(|text| parse_check(text)).transpose().map_err(Failure::text)
}

fn default_name(directory: &Path) -> &'static str {
    let is_there = |name: &&str| directory.join(name).symlink_metadata().is_ok();
    NAMES.into_iter().find(is_there).unwrap_or("Dockerfile")
}

/// The ignore file of a context: that of the Dockerfile, else the one for all.
fn ignore_file(directory: &Path, name: &str) -> Option<IgnoreFile> {
    let own = [".dockerignore", ".containerignore"].map(|ending| format!("{name}{ending}"));
    let all = [".containerignore", ".dockerignore"].map(str::to_owned);
    let text = own.iter().chain(&all).find_map(|name| fs_err::read(directory.join(name)).ok())?;
    IgnoreFile::parse(&String::from_utf8_lossy(&text)).ok()
}
