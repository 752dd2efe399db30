//! The `gantry` program: arguments in, one command run, an exit code out.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod privilege;
mod progress;
mod settings;
mod signals;
mod transfer;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        args::Parsed::Run(cli) => commands::run(&cli),
        args::Parsed::Answered(code) => code,
    }
}
