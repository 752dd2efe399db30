//! `gantry builds rm`.

use std::process::ExitCode;

use gantry_executor::{Outcome, PastBuild};

use super::super::Context;
use super::{no_builds, settle};
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
    settle(&store);
    let builds = store.builds();
    // All are found before any goes, since `^1` is another one afterwards.
    let doomed = match args.all {
        true => builds.list()?,
        false => {
            let find = |name: &String| match PastBuild::find(&store, Some(name))? {
                past if past.record.outcome == Outcome::Running => {
                    Err(Failure::text(format_args!("The build `{}` still runs", past.entry.id)))
                }
                past => Ok(past.entry),
            };
            args.builds.iter().map(find).collect::<Result<_, _>>()?
        }
    };
    builds.remove(&doomed)?;
    for build in doomed {
        context.ui.line(build.id)?;
    }
    Ok(ExitCode::SUCCESS)
}
