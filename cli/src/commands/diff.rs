//! `gantry diff`: what a container wrote.

use std::process::ExitCode;

use gantry_runtime::Containers;

use super::Context;
use crate::privilege;
use crate::ui::Failure;

/// Inspect changes to files or directories on a container's filesystem
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry diff CONTAINER")]
pub(crate) struct DiffArgs {
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub(crate) fn run(args: &DiffArgs, context: &Context) -> Result<ExitCode, Failure> {
    // What a container wrote may belong to ids that exist in the user namespace only.
    let host = gantry_sandbox::probe();
    if let Some(code) = privilege::escalate(&host)? {
        return Ok(code);
    }
    let store = context.store()?;
    for (change, path) in Containers::new(&store).changes(&args.container, &host)?.list() {
        context.ui.line(format_args!("{change} /{}", path.as_path().display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
