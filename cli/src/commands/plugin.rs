//! `gantry plugin`: gantry as the docker client's build plugin.

use std::process::ExitCode;

use super::Context;
use crate::plugin::installed::{self, Options};
use crate::ui::Failure;

/// Have `docker build` run gantry
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Plugin {
    Install(InstallArgs),
    Uninstall(UninstallArgs),
}

/// Make gantry the docker client's `buildx` plugin
///
/// Puts it into `cli-plugins` of docker's configuration directory (`DOCKER_CONFIG`, or `~/.docker`).
/// Where an engine runs (the client's context, `DOCKER_HOST`, or the usual socket), it gets the images
/// that `docker build` would give it. Called by its own name, gantry asks no engine, also for `--load`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry plugin install [OPTIONS]")]
pub(crate) struct InstallArgs {
    /// Put another plugin aside that is there; `uninstall` puts it back
    #[arg(short, long)]
    force: bool,
    /// Install a copy of gantry instead of a link to it
    #[arg(long)]
    copy: bool,
    /// Leave docker's config.json alone; `docker build` of clients before version 23 then goes on
    /// to ask for an engine
    #[arg(long)]
    no_alias: bool,
}

/// Take gantry away from the docker client, and put back what was there before
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry plugin uninstall")]
pub(crate) struct UninstallArgs {}

impl Plugin {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Install(args) => install(args, context),
            Self::Uninstall(_) => uninstall(context),
        }
    }
}

fn install(args: &InstallArgs, context: &Context) -> Result<ExitCode, Failure> {
    let options = Options { copy: args.copy, force: args.force, alias: !args.no_alias };
    let installed = installed::install(options)?;
    if let Some(backup) = &installed.backup {
        context.ui.note(format_args!("The plugin before is kept as {}", backup.display()));
    }
    context.ui.line(installed.plugin.display())?;
    Ok(ExitCode::SUCCESS)
}

fn uninstall(context: &Context) -> Result<ExitCode, Failure> {
    match installed::uninstall()? {
        None => context.ui.note("gantry is not installed as a plugin"),
        Some(was) => {
            if was.backup.is_some() {
                context.ui.note("The plugin that was there before is back");
            }
            context.ui.line(was.plugin.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
