//! What is said and written when a build is over.

use std::io;
use std::process::ExitCode;

use gantry_executor::{BuildError, BuildOutcome, Class, DockerfileError, StepFailures};
use gantry_image::Reference;
use gantry_parser::{Diagnostic, SourceFile, lint};

use super::{BuildArgs, Context, metadata};
use crate::progress::{Mode, Warned, Warnings};
use crate::ui::Failure;
use crate::ui::excerpt::{self, Place};
use crate::ui::github::Mark;

/// What a canceled build exits with: as if killed by SIGINT, as shells tell it.
pub(super) const CANCELED: u8 = 130;

/// What a build exits with that failed by a mistake of gantry's own.
pub(super) const INTERNAL: u8 = 100;

/// What a build exits with that this host had no space or no memory for.
pub(super) const EXHAUSTED: u8 = 102;

/// Removes what an earlier build wrote, so that it can't be taken for this one's.
pub(super) fn prepare(args: &BuildArgs) -> Result<(), Failure> {
    let Some(path) = args.iidfile() else { return Ok(()) };
    match fs_err::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err.into()),
        _ => Ok(()),
    }
}

/// Writes the files and the image ID that were asked for.
pub(super) fn succeeded(
    built: &BuildOutcome,
    names: &[Reference],
    args: &BuildArgs,
    context: &Context,
    how: &Shown,
) -> Result<ExitCode, Failure> {
    if let (Some(path), Some(image)) = (args.iidfile(), &built.image) {
        fs_err::write(path, image.id.to_string())?;
    }
    if let Some(path) = args.metadata_file() {
        // What has no name may be called by its digest.
        let names = if names.is_empty() { &built.tags } else { names };
        fs_err::write(path, metadata::write(built, names)?)?;
    }
    if let Some(file) = &how.file {
        for line in marks(built, file) {
            context.ui.note(line);
        }
    }
    if how.mode == Mode::Steps {
        classic(built, how, context)?;
    }
    if args.quiet
        && let Some(image) = &built.image
    {
        context.ui.line(image.id)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the Dockerfile is warned of: a line each, `StageNameCasing: … (line 3)`, and what is shown
/// with `--debug`.
pub(super) fn warnings(list: &[Diagnostic], source: &SourceFile, context: &Context) -> Warnings {
    let coloured = console::colors_enabled_stderr();
    let warned = |warning: &Diagnostic| {
        let place = warning.lines(source);
        let place = place.map(|(first, _)| format!(" (line {first})")).unwrap_or_default();
        let short = match warning.code {
            Some(code) => format!("{code}: {}{place}", warning.message),
            None => format!("{}{place}", warning.message),
        };
        let rule = lint::RULES.iter().find(|rule| Some(rule.name) == warning.code);
        Warned {
            short,
            detail: rule.map(|rule| rule.description),
            url: rule.map(lint::Rule::url),
            excerpt: match context.debug {
                true => excerpt::annotated(warning, source, coloured) + "\n",
                false => String::new(),
            },
        }
    };
    let program = if context.called.as_docker() { "docker" } else { "gantry" };
    let more = (!context.debug).then_some(program);
    Warnings { list: list.iter().map(warned).collect(), more }
}

/// The marks that GitHub's runner makes of warnings.
fn marks(built: &BuildOutcome, file: &str) -> Vec<String> {
    let mark = |warning: &Diagnostic| {
        let title = warning.code.map(str::to_owned);
        let lines = warning.lines(&built.dockerfile);
        Mark { file: file.to_owned(), lines, title }.line("warning", &warning.message)
    };
    built.warnings.iter().map(mark).collect()
}

/// Says what was built, as the classic builder does.
fn classic(built: &BuildOutcome, how: &Shown, context: &Context) -> Result<(), Failure> {
    let Some(image) = &built.image else { return Ok(()) };
    let id: String = image.id.hex().chars().take(12).collect();
    let mut lines = vec![format!("Successfully built {id}")];
    lines.extend(
        built.tags.iter().map(|tag| {
            format!("Successfully tagged {}", tag.clone().with_default_tag().familiar())
        }),
    );
    for line in lines {
        match how.free {
            true => context.ui.line(line)?,
            false => context.ui.note(line),
        }
    }
    Ok(())
}

/// Words a step that failed as the classic builder does (A5-11); its code is the build's.
fn classic_failure(failures: &StepFailures) -> Option<Failure> {
    let step = failures.steps.first()?;
    let code = step.error.exit_code()?;
    let text = step.error.to_string();
    let command = text.strip_prefix("process \"")?.split_once("\" did not complete")?.0;
    let text = format!("The command '{command}' returned a non-zero code: {code}");
    Some(Failure::text(text).with_code(u8::try_from(code).unwrap_or(1)).bare())
}

/// How a build is shown, and so its end.
pub(super) struct Shown {
    pub(super) mode: Mode,
    /// Whether stdout is free of the build's result.
    pub(super) free: bool,
    /// What the Dockerfile is called where GitHub's marks are read, if they are.
    pub(super) file: Option<String>,
}

/// Words a failed build as BuildKit does.
pub(super) fn failed(error: BuildError, how: &Shown, propagate_exit_code: bool) -> Failure {
    if let (Mode::Steps, BuildError::Steps(failures)) = (how.mode, &error)
        && let Some(failure) = classic_failure(failures)
    {
        return failure;
    }
    // As buildx tells them apart (C7).
    let code = match error.class() {
        Class::Failure => 1,
        Class::Internal => INTERNAL,
        Class::Exhausted => EXHAUSTED,
        Class::Canceled => CANCELED,
    };
    let failure = match error {
        BuildError::Dockerfile(error) => dockerfile(error),
        BuildError::Steps(failures) => steps(failures, propagate_exit_code),
        BuildError::Canceled => Failure::text("failed to solve: Canceled: context canceled"),
        error => {
            let hint = error.hint().map(str::to_owned);
            let failure = Failure::new(error).prefixed("failed to solve: ");
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        }
    };
    // A step's own code, where that is what is wanted, says more.
    let failure = match &how.file {
        Some(file) => failure.in_file(file),
        None => failure,
    };
    if failure.code() == 1 { failure.with_code(code) } else { failure }
}

fn dockerfile(error: DockerfileError) -> Failure {
    let text = error.to_string();
    let errors: Vec<_> = error.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    Failure::text(format_args!("failed to solve: {text}")).with_diagnostics(&errors, &error.source)
}

fn steps(failures: StepFailures, propagate_exit_code: bool) -> Failure {
    let Some(step) = failures.steps.first() else {
        return Failure::text("failed to solve");
    };
    let failure = Failure::chain(step.error.messages()).prefixed("failed to solve: ");
    let source = &failures.source;
    let failure = match step.span {
        Some(span) => failure.at(&Place::instruction(source, span, step.place), source),
        None => failure,
    };
    let failure = match step.error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    };
    match step.error.exit_code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) if propagate_exit_code => failure.with_code(code),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use gantry_executor::StepFailure;
    use gantry_solver::StepError;

    use super::*;

    #[test]
    fn c7_02_and_03_the_code_says_whose_fault_it_is() {
        let how = Shown { mode: Mode::Plain, free: true, file: None };
        let code = |error| failed(error, &how, true).code();
        let step = |text: &str| {
            let (title, error) = ("[2/2] RUN x".to_owned(), StepError::new(text.to_owned()));
            let steps = vec![StepFailure { title, span: None, place: None, error }];
            let source = SourceFile::new("Dockerfile", "");
            BuildError::Steps(StepFailures { source, steps, warnings: Vec::new() })
        };
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(code(step("The step hit a bug in gantry: it panicked")), 100);
        assert_eq!(code(BuildError::Runtime(full())), 100);
        assert_eq!(code(step("nothing in particular")), 1);
        assert_eq!(code(BuildError::Canceled), 130);
    }
}
