//! `gantry builds rm`.

use std::process::ExitCode;

use super::super::Context;
use super::no_builds;
use crate::ui::Failure;

/// Forget builds; what they made stays
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry builds rm [OPTIONS] [BUILD...]")]
pub(crate) struct RmArgs {
    #[arg(value_name = "BUILD")]
    builds: Vec<String>,
    /// Forget all builds
    #[arg(long, conflicts_with = "builds")]
    all: bool,
}

pub(crate) fn run(args: &RmArgs, context: &Context) -> Result<ExitCode, Failure> {
    if args.builds.is_empty() && !args.all {
        return Err(Failure::usage("Name a build, or give `--all`"));
    }
    let Some(store) = context.existing_store()? else {
        return if args.all { Ok(ExitCode::SUCCESS) } else { Err(no_builds()) };
    };
    let builds = store.builds();
    // All are found before any goes, since `^1` is another one afterwards.
    let doomed = match args.all {
        true => builds.list()?,
        false => args.builds.iter().map(|name| builds.resolve(name)).collect::<Result<_, _>>()?,
    };
    builds.remove(&doomed)?;
    for build in doomed {
        context.ui.line(build.id)?;
    }
    Ok(ExitCode::SUCCESS)
}
