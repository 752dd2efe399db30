//! One file a command: its arguments, then its `run`.

mod version;

use std::process::ExitCode;

use crate::args::Cli;
use crate::ui::{Failure, Ui};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Version(version::VersionArgs),
}

/// What a command is given.
pub(crate) struct Context {
    /// Where it speaks.
    pub(crate) ui: Ui,
}

/// Runs the command and turns its end into an exit code.
///
/// `SIGPIPE` stays ignored, as the Rust runtime leaves it: a reader that goes away must not kill
/// gantry in the middle of a write to the store. Writing to a closed stdout fails instead, and that
/// ends the command quietly with 141, which is what a shell shows for a program killed by it.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let context = Context { ui: Ui::new() };
    let outcome = match &cli.command {
        Command::Version(args) => version::run(args, &context),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) if failure.broken_pipe() => ExitCode::from(141),
        Err(failure) => {
            failure.print(&context.ui);
            ExitCode::from(failure.code())
        }
    }
}
