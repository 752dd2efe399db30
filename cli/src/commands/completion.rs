//! `gantry completion`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Context;
use crate::args::Cli;
use crate::ui::Failure;

/// Generate the autocompletion script for the specified shell
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry completion SHELL")]
pub(crate) struct CompletionArgs {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gantry", &mut script);
    context.ui.write(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
