//! `gantry rm`: containers that don't run any more.

use std::process::ExitCode;

use gantry_runtime::Containers;

use super::Context;
use crate::privilege;
use crate::ui::Failure;

/// Remove one or more containers
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry rm CONTAINER [CONTAINER...]")]
pub(crate) struct RmArgs {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub(crate) fn run(args: &RmArgs, context: &Context) -> Result<ExitCode, Failure> {
    // What a container wrote may belong to ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let store = context.store()?;
    let containers = Containers::new(&store);
    let mut code = ExitCode::SUCCESS;
    for name in &args.containers {
        match containers.remove(name) {
            Ok(()) => context.ui.line(name)?,
            // One that can't go is no reason to keep the others.
            Err(error) => {
                code = ExitCode::FAILURE;
                Failure::from(error).print(&context.ui);
            }
        }
    }
    Ok(code)
}
