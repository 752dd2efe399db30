//! What buildx says of builders, of which there is one here: gantry itself.

use std::process::ExitCode;

use gantry_image::Platform;
use serde_json::json;

use super::Context;
use crate::plugin::installed;
use crate::ui::table::align;
use crate::ui::{Failure, listing};

/// The builder's name, as the docker client has it.
const BUILDER: &str = "default";
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Show the version
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry buildx version")]
pub(crate) struct VersionArgs {}

/// In the form of buildx's, of which scripts take the second word.
pub(crate) fn version(_: &VersionArgs, context: &Context) -> Result<ExitCode, Failure> {
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://");
    context.ui.line(format_args!("{repository} {VERSION}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Inspect the builder
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry buildx inspect [NAME]")]
pub(crate) struct InspectArgs {
    /// Name of the builder; there is `default`
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Accepted: the builder needs no start
    #[arg(long)]
    bootstrap: bool,
    #[arg(long, hide = true)]
    builder: Option<String>,
}

pub(crate) fn inspect(args: &InspectArgs, context: &Context) -> Result<ExitCode, Failure> {
    if let Some(name) = args.name.as_deref().filter(|name| *name != BUILDER) {
        return Err(Failure::text(format_args!("no builder \"{name}\" found")));
    }
    let platform = Platform::host();
    context.ui.write(&format!(
        "Name:   {BUILDER}\nDriver: gantry\n\nNodes:\nName:      {BUILDER}\nEndpoint:  {BUILDER}\n\
         Status:    running\nBuildKit version: {VERSION}\nPlatforms: {platform}\n",
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// List builders
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry buildx ls [OPTIONS]")]
pub(crate) struct LsArgs {
    /// Format output: 'table', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Accepted: nothing is shortened
    #[arg(long)]
    no_trunc: bool,
}

pub(crate) fn ls(args: &LsArgs, context: &Context) -> Result<ExitCode, Failure> {
    let platform = Platform::host().to_string();
    match args.format.as_deref() {
        None | Some("table") => {
            let lines = [
                "NAME/NODE\tDRIVER/ENDPOINT\tSTATUS\tBUILDKIT\tPLATFORMS".to_owned(),
                format!("{BUILDER}*\tgantry\t\t\t"),
                format!(" \\_ {BUILDER}\t \\_ {BUILDER}\trunning\t{VERSION}\t{platform}"),
            ];
            context.ui.write(&align(&lines))?;
        }
        Some(format) => {
            let data = json!({
                "Name": BUILDER,
                "Driver": "gantry",
                "DriverEndpoint": BUILDER,
                "Status": "running",
                "Current": true,
                "Buildkit": VERSION,
                "Platforms": platform,
            });
            listing::print_one(format, &data, &context.ui)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Have `docker build` of old clients use the plugin, or no longer
#[derive(Debug, clap::Args)]
pub(crate) struct AliasArgs {}

pub(crate) fn alias(set: bool) -> Result<ExitCode, Failure> {
    installed::alias(set)?;
    Ok(ExitCode::SUCCESS)
}

/// Accepted: there is one builder, which is always there
#[derive(Debug, clap::Args)]
pub(crate) struct BuilderArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// `create`, `use`, `rm`, `stop`: pipelines begin and end with them.
pub(crate) fn builder(
    command: &str,
    args: &BuilderArgs,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let mut words = args.words.iter();
    let mut name = None;
    while let Some(word) = words.next() {
        let (flag, attached) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word.as_str(), None),
        };
        let mut value = || attached.or_else(|| words.next().map(String::as_str));
        match flag {
            "--driver" => {
                if let Some(driver @ ("remote" | "kubernetes" | "cloud")) = value() {
                    let what = format_args!("gantry has no builder of the driver `{driver}`");
                    return Err(
                        Failure::text(what).with_hint("It builds on this host, without a driver")
                    );
                }
            }
            "--name" => name = value(),
            _ => {}
        }
    }
    context.ui.note(format_args!(
        "WARNING: buildx {command} has no effect: gantry is the only builder, and needs no daemon"
    ));
    if command == "create" {
        context.ui.line(name.unwrap_or(BUILDER))?;
    }
    Ok(ExitCode::SUCCESS)
}
