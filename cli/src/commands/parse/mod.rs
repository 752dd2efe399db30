//! `gantry parse`: what a Dockerfile says, for editors and tools.
//!
//! | file | owns |
//! |---|---|
//! | `view` | the document: directives, statements, diagnostics, spans |
//! | `instruction` | what each kind of instruction adds to its statement |
//!
//! `docs/ast.md` promises this form; [`view::VERSION`] changes when a reader of it would break.

mod instruction;
mod view;

use std::io::{self, Read as _};
use std::process::ExitCode;

use gantry_parser::{SourceFile, parse};

use super::Context;
use crate::ui::Failure;

/// Show what a Dockerfile says, without building it
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry parse [OPTIONS] FILE | -")]
pub(crate) struct ParseArgs {
    /// The Dockerfile, or `-` for stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// Print the syntax tree with spans, and the errors, as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ParseArgs, context: &Context) -> Result<ExitCode, Failure> {
    let source = read(&args.file)?;
    let parsed = parse(&source);
    if args.json {
        let document = view::document(&source, &parsed);
        let text = serde_json::to_string_pretty(&document).map_err(Failure::new)?;
        context.ui.line(text)?;
        return Ok(if parsed.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    refuse_errors(&source, &parsed)?;
    for statement in &parsed.dockerfile.statements {
        let line = source.line_of(statement.span.start);
        let name = statement.instruction.name();
        let rest = statement.text.get(statement.keyword.text.len()..).unwrap_or_default();
        context.ui.line(format_args!("{line}: {name}{rest}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a Dockerfile by name, or from stdin if that is `-`.
pub(super) fn read(file: &str) -> Result<SourceFile, Failure> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        bytes
    } else {
        fs_err::read(file)?
    };
    Ok(SourceFile::from_bytes(if file == "-" { "Dockerfile" } else { file }, &bytes))
}

/// Fails with all errors of the file, if there are any.
pub(super) fn refuse_errors(
    source: &SourceFile,
    parsed: &gantry_parser::Parsed,
) -> Result<(), Failure> {
    match parsed.diagnostics.iter().find(|diagnostic| diagnostic.is_error()) {
        Some(first) => {
            let failure = Failure::text(&first.message);
            Err(failure.with_diagnostics(&parsed.diagnostics, source))
        }
        None => Ok(()),
    }
}
