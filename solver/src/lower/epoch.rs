//! `SOURCE_DATE_EPOCH`: the time that stands for now (B7-14).
//!
//! It is a number of seconds, or the name of something that has a time of its own: `context`, a
//! named context, or a stage that holds nothing but one remote ADD. Variables and the image see
//! the number only; what has no time, such as a directory, leaves the time unset.

use std::borrow::Cow;

use gantry_parser::{
    Diagnostic, Instruction, Statement, Word,
    ast::{Add, Arg, Layout, Source, Stage},
    expand::Lexer,
};

use crate::{
    lower::{
        Context, LowerOptions,
        instruction::remote_source,
        variables::{Globals, expand},
    },
    op::Op,
    resolve::{Dated, Resolve, ResolveError},
};

const NAME: &str = "SOURCE_DATE_EPOCH";

/// What a stage has to be to have a time.
const STAGE_HINT: &str =
    "Write a stage of `FROM scratch` and one `ADD` of an address, and nothing else";

/// Finds out the time, and puts the number where the name was; an empty value is none.
///
/// # Errors
/// A value that is neither a number nor a name of any of these; a source that can't be had.
pub(super) async fn resolve<'o>(
    options: &'o LowerOptions,
    globals: &mut Globals,
    layout: &Layout<'_>,
    lexer: &Lexer,
    resolve: &dyn Resolve,
) -> Result<(Option<i64>, Cow<'o, LowerOptions>), Diagnostic> {
    let options = Cow::Borrowed(options);
    let given = options.build_args.get(NAME).or_else(|| globals.values.get(NAME));
    let Some(text) = given.filter(|text| !text.is_empty()).cloned() else {
        return Ok((None, options));
    };
    if let Ok(seconds) = text.parse() {
        return Ok((Some(seconds), options));
    }
    let seconds = match dated(&text, &options, globals, layout, lexer)? {
        Some(source) => {
            let found = resolve.time(&source).await;
            found.map_err(|error| failed(&text, &error))?
        }
        None => None,
    };
    let value = seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
    let mut options = options;
    if options.build_args.contains_key(NAME) {
        options.to_mut().build_args.insert(NAME.to_owned(), value.clone());
    }
    if let Some(global) = globals.values.get_mut(NAME) {
        *global = value;
    }
    Ok((seconds, options))
}

/// Returns what the value names; `None` for something that never has a time.
fn dated(
    text: &str,
    options: &LowerOptions,
    globals: &Globals,
    layout: &Layout<'_>,
    lexer: &Lexer,
) -> Result<Option<Dated>, Diagnostic> {
    if text == "context" {
        return Ok(Some(Dated::Context));
    }
    let named = options.named_context(text, options.target_platform());
    if let Some(context) = named.and_then(|key| options.contexts.get(key)) {
        return Ok(match context {
            Context::Git(git) => Some(Dated::Git(git.clone())),
            Context::Http(http) => Some(Dated::Http(http.clone())),
            Context::Local | Context::Image(_) | Context::OciLayout(_) => None,
        });
    }
    let wanted = text.to_lowercase();
    let stage = layout.stages.iter().find(|stage| stage.from.stage_name() == Some(wanted.clone()));
    match stage {
        Some(stage) => of_stage(stage, options, globals, lexer)
            .map(Some)
            .map_err(|error| error.within(stage.statement.span)),
        None => Err(Diagnostic::error_in_file(format!("invalid {NAME}: {text}")).with_hint(
            "Give it in whole seconds since 1970, or name `context`, a named context or a stage",
        )),
    }
}

/// The one source of a stage that holds nothing else.
fn of_stage(
    stage: &Stage<'_>,
    options: &LowerOptions,
    globals: &Globals,
    lexer: &Lexer,
) -> Result<Dated, Diagnostic> {
    let refused = |message: String, span| Diagnostic::error(message, span).with_hint(STAGE_HINT);
    let mut variables = Globals { values: globals.values.clone(), ..Globals::default() };
    // It can't be known before this is.
    variables.values.remove(NAME);
    let base = expand(lexer, &stage.from.image, &variables)?;
    if base.text != "scratch" {
        let message = format!("{NAME} stage must use FROM scratch");
        return Err(refused(message, stage.from.image.span));
    }
    let mut found = None;
    for Statement { instruction, span, .. } in stage.body {
        match instruction {
            Instruction::Arg(arg) => declare(arg, options, &mut variables, lexer)?,
            Instruction::Add(add) if found.is_none() => {
                found = Some(of_add(add, &variables, lexer)?.ok_or_else(|| {
                    let message =
                        format!("{NAME} stage source must be a single HTTP(S) or Git ADD");
                    refused(message, *span)
                })?);
            }
            Instruction::Add(_) => {
                let message = format!("{NAME} stage must contain exactly one remote ADD");
                return Err(refused(message, *span));
            }
            other => {
                let message = format!(
                    "{NAME} stage does not meet source-only requirements: unsupported {} \
                     instruction",
                    other.name()
                );
                return Err(refused(message, *span));
            }
        }
    }
    found.ok_or_else(|| {
        let message = format!("{NAME} stage must contain exactly one remote ADD");
        refused(message, stage.statement.span)
    })
}

/// Sets the ARGs of such a stage. It sees all that is declared above the first FROM.
fn declare(
    arg: &Arg,
    options: &LowerOptions,
    variables: &mut Globals,
    lexer: &Lexer,
) -> Result<(), Diagnostic> {
    for definition in &arg.definitions {
        let name = &definition.name.text;
        let value = match (options.build_args.get(name), &definition.default) {
            (Some(given), _) => given.clone(),
            (None, Some(default)) => expand(lexer, default, variables)?.text,
            (None, None) => continue,
        };
        variables.values.insert(name.clone(), value);
    }
    Ok(())
}

/// Returns the one remote source of an ADD; `None` if it has others.
fn of_add(add: &Add, variables: &Globals, lexer: &Lexer) -> Result<Option<Dated>, Diagnostic> {
    let [Source::Path(word)] = add.transfer.sources.as_slice() else { return Ok(None) };
    let text = expand(lexer, word, variables)?.text;
    let checksum: Option<(&Word, String)> = match &add.checksum {
        Some(word) => {
            let text = expand(lexer, word, variables)?.text;
            Some((word, text)).filter(|(_, text)| !text.is_empty())
        }
        None => None,
    };
    Ok(match remote_source(&text, add, word, checksum.as_ref())? {
        Some(Op::Git(git)) => Some(Dated::Git(git)),
        Some(Op::Http(http)) => Some(Dated::Http(http)),
        _ => None,
    })
}

fn failed(text: &str, error: &ResolveError) -> Diagnostic {
    let message = format!("failed to resolve {NAME}={text}: {error}");
    let mut diagnostic = Diagnostic::error_in_file(message);
    let mut cause = error.source.as_ref().map(|source| &**source as &dyn std::error::Error);
    while let Some(error) = cause {
        diagnostic = diagnostic.with_note(error.to_string());
        cause = error.source();
    }
    let hint = error.hint.as_deref();
    diagnostic.with_hint(hint.unwrap_or("Give the time in whole seconds since 1970").to_owned())
}
