//! The `gantry` program: arguments in, one command run, an exit code out.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod plugin;
mod privilege;
mod progress;
mod settings;
mod signals;
mod transfer;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (words, called) = match plugin::spell(std::env::args_os().collect()) {
        plugin::Spelled::Words(words, called) => (words, called),
        plugin::Spelled::Answered(code) => return code,
    };
    match args::parse(words.into_iter()) {
        args::Parsed::Run(cli) => commands::run(&cli, *called),
        args::Parsed::Answered(code) => code,
    }
}
