//! `gantry version`.

use std::process::ExitCode;

use super::Context;
use crate::ui::Failure;

/// Show the gantry version information
#[derive(Debug, clap::Args)]
pub(crate) struct VersionArgs {}

pub(crate) fn run(_args: &VersionArgs, context: &Context) -> Result<ExitCode, Failure> {
    context.ui.line(format_args!("gantry {}", env!("CARGO_PKG_VERSION")))?;
    Ok(ExitCode::SUCCESS)
}
