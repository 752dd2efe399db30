//! `gantry version`.

use std::process::ExitCode;

use serde_json::json;

use super::Context;
use crate::ui::{Failure, listing};

/// Show the gantry version information
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry version [OPTIONS]")]
pub(crate) struct VersionArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
}

pub(crate) fn run(args: &VersionArgs, context: &Context) -> Result<ExitCode, Failure> {
    let platform = gantry_image::Platform::host();
    let version = env!("CARGO_PKG_VERSION");
    match &args.format {
        Some(format) => {
            let part = json!({
                "Version": version,
                "Os": platform.os,
                "Arch": platform.architecture,
            });
            // Scripts ask docker for the client's or the server's; here both are this program.
            let data = json!({
                "Client": part,
                "Server": part,
                "Version": version,
                "Os": platform.os,
                "Arch": platform.architecture,
            });
            listing::print_one(format, &data, &context.ui)?;
        }
        None => {
            context.ui.line("Gantry:")?;
            context.ui.line(format_args!(" Version:           {version}"))?;
            context.ui.line(format_args!(" OS/Arch:           {platform}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
