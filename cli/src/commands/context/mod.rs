//! `gantry context`: what a build context holds.

mod ls;

use std::process::ExitCode;

use super::Context;
use crate::ui::Failure;

/// Look at a build context
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ContextCommand {
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
}

impl ContextCommand {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Ls(args) => ls::run(args, context),
        }
    }
}
