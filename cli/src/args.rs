//! The command line as typed: global options and the list of commands.
//!
//! Names, defaults and wording follow the docker command line, so that a habit or a script can be
//! carried over. Usage errors are docker's too ([`usage`]).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::ui::Ui;

/// Builds, keeps and runs container images; no daemon
#[derive(Debug, Parser)]
#[command(name = "gantry", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Globals {
    /// Directory of the store (default /var/lib/gantry, or ~/.local/share/gantry if not root)
    #[arg(long, global = true, env = "GANTRY_ROOT", value_name = "DIR", hide_env_values = true)]
    pub(crate) root: Option<PathBuf>,
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
    match Cli::try_parse_from(words) {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(err) => {
            let ui = Ui::new();
            if err.use_stderr() {
                ui.note(err.render());
                Parsed::Answered(ExitCode::from(125))
            } else {
                let _ = ui.line(err.render());
                Parsed::Answered(ExitCode::SUCCESS)
            }
        }
    }
}
