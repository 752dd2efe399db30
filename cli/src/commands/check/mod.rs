//! `gantry check`: what is unwise in a Dockerfile, and why, and mending it. Also what
//! `build --check` and `build --call` print.
//!
//! | file | owns |
//! |---|---|
//! | `input` | the Dockerfile, and what rules may know besides |
//! | `config` | `.hadolint.yaml` |
//! | `report` | findings as text, as JSON, as BuildKit prints them |
//! | `sarif` | findings for code hosts |
//! | `call` | `--call=…` of `build`: checks, outline, targets |
//! | `outline` | what a target takes |
//! | `explain` | a rule's page |

pub(super) mod call;
mod config;
mod explain;
mod input;
mod outline;
mod report;
mod sarif;

use std::path::PathBuf;
use std::process::ExitCode;

use gantry_parser::lint::{fix, hadolint, hadolint::Level};

use super::Context;
use super::build::values::KeyValue;
use crate::ui::{Failure, github};
use config::Config;
use input::Input;
use report::Finding;

/// Check a Dockerfile for what is legal and still unwise
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gantry check [OPTIONS] [PATH | -]",
    after_help = "Exits with 1 if something is found at or above the failure threshold."
)]
pub(crate) struct CheckArgs {
    /// A Dockerfile or a directory with one; `-` reads stdin
    #[arg(value_name = "PATH", default_value = ".")]
    path: String,
    /// Name of the Dockerfile, if PATH is a directory
    #[arg(short, long, value_name = "string")]
    file: Option<String>,
    /// How to print what is found
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Also check hadolint's rules
    #[arg(
        long, value_name = "bool", default_value_t = true, default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set
    )]
    hadolint: bool,
    /// Settings of hadolint's rules (default: `.hadolint.yaml` here or beside the Dockerfile)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Exit with 1 only for findings of this level or above: error, warning, info, style, none
    #[arg(long, value_name = "LEVEL")]
    failure_threshold: Option<String>,
    /// Set build-time variables
    #[arg(long = "build-arg", value_name = "stringArray")]
    build_args: Vec<KeyValue>,
    /// Say what a rule is about, and check nothing
    #[arg(long, value_name = "RULE", conflicts_with = "fix")]
    explain: Option<String>,
    /// Mend what needs no person: casing, `key value`, shell form, MAINTAINER
    #[arg(long)]
    fix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
}

pub(crate) fn run(args: &CheckArgs, context: &Context) -> Result<ExitCode, Failure> {
    if let Some(rule) = &args.explain {
        context.ui.write(explain::page(rule)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut input = Input::find(&args.path, args.file.as_deref())?;
    let config = Config::load(args.config.as_deref(), input.path.as_deref())?;
    let threshold = match &args.failure_threshold {
        Some(level) => config::threshold(level)?,
        None => config.threshold,
    };
    if args.fix {
        mend(&mut input, context)?;
    }
    let parsed = input.parse()?;
    let mut found = input.findings(&parsed.dockerfile, &args.build_args, None, context)?;
    if args.hadolint {
        let rules = hadolint::check(&parsed.dockerfile, &config.settings);
        found = report::merge(found, rules);
    }
    match args.format {
        Format::Text => report::text(&found, &input.source, context)?,
        Format::Json => context.ui.line(report::json(&found, &input.source)?)?,
        Format::Sarif => context.ui.line(sarif::document(&found, &input)?)?,
    }
    if let Some(path) = input.path.as_deref().filter(|_| github::is_on()) {
        report::mark(&found, &input.source, &github::name_of(path), context);
    }
    let fails = |finding: &Finding| threshold.is_some_and(|least| finding.level >= least);
    let failed = !config.no_fail && found.iter().any(fails);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Mends the file in place, or stdin's text to go on with.
fn mend(input: &mut Input, context: &Context) -> Result<(), Failure> {
    input.parse()?;
    let Ok(fixed) = fix::fix(&input.source) else { return Ok(()) };
    let Some(path) = &input.path else {
        return Err(Failure::usage("--fix needs a file that it can write to"));
    };
    if fixed.text == input.source.text() {
        return Ok(());
    }
    super::fmt::rewrite(&path.to_string_lossy(), &input.source, &fixed.text)?;
    for finding in &fixed.mended {
        let line = finding.lines(&input.source).map_or(0, |(first, _)| first);
        let code = finding.code.unwrap_or_default();
        context.ui.note(format_args!("Mended {code} (line {line})"));
    }
    input.source = gantry_parser::SourceFile::new(input.source.name(), fixed.text);
    Ok(())
}

/// The level of BuildKit's rules among hadolint's.
const BUILDKIT_LEVEL: Level = Level::Warning;
