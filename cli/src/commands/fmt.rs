//! `gantry fmt`: Dockerfiles written one way, without another meaning.

use std::io::{Read as _, Seek as _, Write as _};
use std::process::ExitCode;

use gantry_parser::{SourceFile, format};

use super::Context;
use super::parse::{read, refuse_errors};
use crate::ui::{Failure, diff};

/// Format Dockerfiles
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gantry fmt [OPTIONS] [FILE...]",
    after_help = "What is built from a file stays the same, and so does what is found in the cache."
)]
pub(crate) struct FmtArgs {
    /// Dockerfiles to rewrite; `-` formats stdin to stdout
    #[arg(value_name = "FILE", default_value = "Dockerfile")]
    files: Vec<String>,
    /// Write nothing; name the files that are not formatted, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change
    #[arg(long)]
    diff: bool,
}

pub(crate) fn run(args: &FmtArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut failures = Vec::new();
    let mut unformatted = false;
    for file in &args.files {
        match one(file, args, context) {
            Ok(changed) => unformatted |= changed,
            Err(failure) if failure.broken_pipe() => return Err(failure),
            Err(failure) => failures.push(failure),
        }
    }
    // Every file has had its turn; the last failure ends the command.
    if let Some(last) = failures.pop() {
        failures.iter().for_each(|failure| failure.print(&context.ui));
        return Err(last);
    }
    Ok(if args.check && unformatted { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Formats one file; whether it was not formatted before.
fn one(file: &str, args: &FmtArgs, context: &Context) -> Result<bool, Failure> {
    let source = read(file)?;
    let Ok(text) = format::format(&source) else {
        refuse_errors(&source, &gantry_parser::parse(&source))?;
        return Ok(false);
    };
    let changed = text != source.text();
    if args.diff && changed {
        context.ui.write(&diff::unified(source.name(), source.text(), &text))?;
    }
    if args.check && changed && !args.diff {
        context.ui.line(source.name())?;
    }
    if args.check || args.diff {
        return Ok(changed);
    }
    if file == "-" {
        context.ui.write(&text)?;
    } else if changed {
        rewrite(file, &source, &text)?;
    }
    Ok(changed)
}

/// Replaces the content and keeps the file: its mode, its owner, and what links to it.
///
/// A file that isn't the UTF-8 text that was formatted is left alone.
pub(super) fn rewrite(file: &str, source: &SourceFile, text: &str) -> Result<(), Failure> {
    let mut handle = fs_err::OpenOptions::new().read(true).write(true).open(file)?;
    let mut bytes = Vec::new();
    handle.read_to_end(&mut bytes)?;
    if bytes != source.text().as_bytes() {
        return Err(Failure::text(format_args!("`{file}` is not UTF-8, or changed meanwhile"))
            .with_hint("Nothing was written to it"));
    }
    handle.rewind()?;
    handle.write_all(text.as_bytes())?;
    handle.set_len(text.len() as u64)?;
    Ok(())
}
