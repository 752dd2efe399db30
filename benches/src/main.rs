//! Measures gantry against floors made of plain tools, in one run, and prints ratios.
//!
//! ```text
//! gantry-benches --gantry target/release/gantry [--runs 5] [--files 50000] [--peer-runs 1]
//! gantry-benches --full          big trees and deep builds in their full sizes: 20 GB, half an hour
//! gantry-benches --only step     rows whose name or group has this in it
//! gantry-benches --json          each row as a line of JSON
//! gantry-benches --text          only what needs no build: the language
//! ```
//!
//! A floor is the least that any builder must do for the same result: the walk, the copy, the
//! hash, the clone. A ratio is gantry's time over its floor's, both medians of the same run, so
//! that it holds on a slow machine as on a fast one. The peers' columns are Debian's
//! `buildah`, `podman` and the BuildKit of `docker.io`, where they are installed, doing the same in
//! the same run. `BENCHMARKS.md` explains each row.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod deep;
mod floors;
mod language;
mod peer;
mod row;
mod rows;
mod travel;
mod trees;
mod workspace;

use std::process::ExitCode;

/// What was asked for on the command line.
struct Options {
    gantry: String,
    runs: usize,
    files: usize,
    /// How often the peer does each work; never, if 0.
    peer_runs: usize,
    /// Only the rows about text, which need neither a program nor a base image.
    text: bool,
    /// Big trees and deep builds in their full sizes.
    full: bool,
    /// Lines of JSON in place of the table.
    json: bool,
    /// Only groups of rows with this in their names.
    only: Option<String>,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("gantry-benches: {problem}");
            return ExitCode::from(2);
        }
    };
    match rows::measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("gantry-benches: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, workspace::Problem> {
    let mut options = Options {
        gantry: "target/release/gantry".to_owned(),
        runs: 5,
        files: 50_000,
        peer_runs: 1,
        text: false,
        full: false,
        json: false,
        only: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
        match word.as_str() {
            "--text" => options.text = true,
            "--json" => options.json = true,
            "--full" => options.full = true,
            "--only" => options.only = Some(value()?),
            "--gantry" => options.gantry = value()?,
            "--runs" => options.runs = number(&value()?)?,
            "--files" => options.files = number(&value()?)?,
            "--peer-runs" => options.peer_runs = value()?.parse()?,
            _ => return Err(format!("unknown option `{word}`").into()),
        }
    }
    if !options.text {
        let path = fs_err::canonicalize(&options.gantry)?;
        options.gantry = path.display().to_string();
    }
    Ok(options)
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is not a positive number")),
    }
}
