//! `gantry rmi`: names go, and an image with its last name.

use std::process::ExitCode;

use gantry_cache::StoreError;

use super::Context;
use crate::ui::Failure;

/// Remove one or more images
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry rmi [OPTIONS] IMAGE [IMAGE...]")]
pub(crate) struct RmiArgs {
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents (gantry keeps none)
    #[arg(long)]
    no_prune: bool,
}

pub(crate) fn run(args: &RmiArgs, context: &Context) -> Result<ExitCode, Failure> {
    let store = context.store()?;
    let mut code = ExitCode::SUCCESS;
    for name in &args.images {
        match store.images().remove(name, args.force) {
            Ok(removed) => {
                for name in removed.untagged {
                    context.ui.line(format_args!("Untagged: {}", name.familiar()))?;
                }
                for id in removed.deleted.into_iter().chain(removed.others) {
                    context.ui.line(format_args!("Deleted: {id}"))?;
                }
            }
            // One that can't go is no reason to keep the others.
            Err(error) => {
                if !(args.force && matches!(error, StoreError::NoSuchImage { .. })) {
                    code = ExitCode::FAILURE;
                }
                Failure::from(error).print(&context.ui);
            }
        }
    }
    Ok(code)
}
