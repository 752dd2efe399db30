//! The command line as typed: global options, the command, and what usage errors look like.
//!
//! Names, defaults and wording follow the docker command line, so that a habit or a script can be
//! carried over.

mod connection;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

pub(crate) use self::connection::{Connection, Transfer};
use crate::commands::Command;
use crate::ui::Ui;

/// Builds, keeps and runs container images, without a daemon
#[derive(Debug, Parser)]
#[command(
    name = "gantry",
    version,
    disable_help_subcommand = true,
    disable_version_flag = true,
    args_override_self = true,
    override_usage = "gantry [OPTIONS] COMMAND"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// Print version information and quit
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Directory of the store (default /var/lib/gantry, or ~/.local/share/gantry if not root)
    #[arg(long, global = true, env = "GANTRY_ROOT", value_name = "DIR", hide_env_values = true)]
    pub(crate) root: Option<PathBuf>,
    /// Explain more: warnings with their places
    #[arg(short = 'D', long, global = true)]
    pub(crate) debug: bool,
}

/// What became of the arguments.
pub(crate) enum Parsed {
    /// A command to run.
    Run(Box<Cli>),
    /// Help, version or a usage error has been printed.
    Answered(ExitCode),
}

/// Reads the arguments, the program's name first.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Parsed {
    let words: Vec<OsString> = words.collect();
    let err = match Cli::try_parse_from(&words) {
        Ok(cli) => return Parsed::Run(Box::new(cli)),
        Err(err) => err,
    };
    let ui = Ui::new();
    if err.use_stderr() {
        let failure = usage::explain(&err, &Cli::command(), &words);
        ui.note(failure.text.trim_end());
        Parsed::Answered(ExitCode::from(failure.code))
    } else {
        // Help for a reader that went away needs no apology.
        let _ = ui.write(&err.render().to_string());
        Parsed::Answered(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
