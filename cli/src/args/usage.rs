//! Usage errors in docker's words, with docker's exit codes.
//!
//! A flag that isn't there or has a bad value ends with 125, a wrong number of arguments with 1;
//! `run` always ends with 125, since other codes are the container's. What buildx takes as it is and
//! understands later, as outputs and secrets, is an error of the build, with 1.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What to print, and the exit code.
pub(super) struct Explained {
    pub(super) text: String,
    pub(super) code: u8,
}

/// Words an error of clap's as docker would.
pub(super) fn explain(err: &clap::Error, root: &Command, words: &[OsString]) -> Explained {
    let (command, path) = find(root, words);
    let invalid = context(err, ContextKind::InvalidArg).unwrap_or_default();
    if let Some(text) = of_build(err, command, &invalid) {
        return Explained { text, code: 1 };
    }
    let (what, arity) = match err.kind() {
        ErrorKind::UnknownArgument if invalid.starts_with("--") => {
            let flag = invalid.split('=').next().unwrap_or_default();
            (format!("unknown flag: {flag}"), false)
        }
        ErrorKind::UnknownArgument if invalid.starts_with('-') => {
            let letter = invalid.chars().nth(1).unwrap_or('-');
            (format!("unknown shorthand flag: '{letter}' in {invalid}"), false)
        }
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument if command.has_subcommands() => {
            let word = context(err, ContextKind::InvalidSubcommand).unwrap_or(invalid);
            (format!("gantry: unknown command: {path} {word}"), true)
        }
        ErrorKind::UnknownArgument
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::TooManyValues
        | ErrorKind::TooFewValues => (format!("gantry: '{path}' {}", requires(command)), true),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = context(err, ContextKind::InvalidValue).unwrap_or_default();
            let flag = invalid.split(['[', ' ', '=']).next().unwrap_or_default();
            if value.is_empty() {
                (format!("flag needs an argument: {flag}"), false)
            } else {
                (format!("invalid argument {value:?} for \"{flag}\" flag: {}", reason(err)), false)
            }
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Explained { text: err.render().to_string(), code: 0 };
        }
        _ => {
            let text = err.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            (first.strip_prefix("error: ").unwrap_or(first).to_owned(), false)
        }
    };
    let mut text = format!("{what}\n");
    if let Some(other) = suggestion(err) {
        text.push_str(&format!("hint: Did you mean `{other}`?\n"));
    }
    if !matches!(err.kind(), ErrorKind::InvalidSubcommand) {
        let usage = command.clone().bin_name(&path).render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        text.push_str(&format!("\nUsage:  {usage}\n"));
    }
    text.push_str(&format!("\nRun '{path} --help' for more information"));
    let code = match command.get_name() {
        "run" => 125,
        _ if arity => 1,
        _ => 125,
    };
    Explained { text, code }
}

/// Flags of `build` whose values buildx looks at when it has read the command line.
const READ_LATER: [&str; 7] = [
    "--add-host",
    "--cache-from",
    "--cache-to",
    "--on-fail-output",
    "--output",
    "--progress",
    "--secret",
];

/// What is said of a bad value of one of those.
fn of_build(err: &clap::Error, command: &Command, invalid: &str) -> Option<String> {
    let flag = invalid.split(['[', ' ', '=']).next().unwrap_or_default();
    let kinds = [ErrorKind::InvalidValue, ErrorKind::ValueValidation];
    let value = context(err, ContextKind::InvalidValue).filter(|value| !value.is_empty())?;
    if command.get_name() != "build" || !kinds.contains(&err.kind()) || !READ_LATER.contains(&flag)
    {
        return None;
    }
    Some(match flag {
        "--progress" => {
            format!("ERROR: invalid progress mode {value}\nhint: {flag} {}", reason(err))
        }
        _ => format!("ERROR: {}", reason(err)),
    })
}

/// Finds the command that the words lead to, and how it is called in full.
fn find<'a>(root: &'a Command, words: &[OsString]) -> (&'a Command, String) {
    let mut command = root;
    let mut path = root.get_name().to_owned();
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            if word == "--root" {
                words.next();
            }
            continue;
        }
        let Some(next) = command.find_subcommand(word) else { break };
        path = format!("{path} {word}");
        command = next;
    }
    (command, path)
}

/// Says how many arguments a command takes.
fn requires(command: &Command) -> String {
    let positionals: Vec<_> = command.get_positionals().collect();
    let least = positionals.iter().filter(|arg| arg.is_required_set()).count();
    let unbounded = positionals
        .iter()
        .any(|arg| arg.get_num_args().is_some_and(|range| range.max_values() == usize::MAX));
    let noun = |count| if count == 1 { "argument" } else { "arguments" };
    let most = positionals.len();
    match (least, unbounded) {
        (0, false) if most == 0 => "accepts no arguments".to_owned(),
        (least, true) => format!("requires at least {least} {}", noun(least)),
        (least, false) if least == most => format!("requires {least} {}", noun(least)),
        (0, false) => format!("requires at most {most} {}", noun(most)),
        (least, false) => format!("requires at least {least} and at most {most} arguments"),
    }
}

/// Why a value won't do.
fn reason(err: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(err) {
        return source.to_string();
    }
    match err.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) => format!("must be one of {}", valid.join(", ")),
        _ => "not understood".to_owned(),
    }
}

fn context(err: &clap::Error, kind: ContextKind) -> Option<String> {
    match err.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        // Suggestions: clap lists the likeliest last.
        ContextValue::Strings(texts) => texts.last().cloned(),
        _ => None,
    }
}

fn suggestion(err: &clap::Error) -> Option<String> {
    [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
        .into_iter()
        .find_map(|kind| context(err, kind))
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    fn check(line: &str, code: u8, expect: &str) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let err = Cli::try_parse_from(&words).unwrap_err();
        let explained = explain(&err, &Cli::command(), &words);
        assert_eq!(
            (explained.text.lines().next().unwrap(), explained.code),
            (expect, code),
            "{line}"
        );
    }

    #[test]
    fn mistakes_are_worded_as_docker_words_them() {
        check("gantry tag a", 1, "gantry: 'gantry tag' requires 2 arguments");
        check("gantry tag a b c", 1, "gantry: 'gantry tag' requires 2 arguments");
        check("gantry tag --bogus", 125, "unknown flag: --bogus");
        check("gantry tag -xy a", 125, "unknown shorthand flag: 'x' in -x");
        check("gantry rmi", 1, "gantry: 'gantry rmi' requires at least 1 argument");
        check("gantry image rm", 1, "gantry: 'gantry image rm' requires at least 1 argument");
        check("gantry bogus", 1, "gantry: unknown command: gantry bogus");
        check("gantry --root /x image bogus", 1, "gantry: unknown command: gantry image bogus");
        check("gantry version x", 1, "gantry: 'gantry version' accepts no arguments");
        check("gantry build a b", 1, "gantry: 'gantry build' requires at most 1 argument");
        check("gantry build --bogus", 125, "unknown flag: --bogus");
        let bool = "invalid argument \"x\" for \"--no-cache\" flag: strconv.ParseBool: parsing \"x\": \
                    invalid syntax";
        check("gantry build --no-cache=x .", 125, bool);
        check("gantry build --progress sideways .", 1, "ERROR: invalid progress mode sideways");
        check("gantry build --add-host x .", 1, "ERROR: invalid host x");
        check("gantry build -o a=b .", 1, "ERROR: type is required for output");
        check("gantry build --secret id=a,type=b .", 1, "ERROR: unsupported secret type \"b\"");
        check(
            "gantry images -f foo",
            125,
            "invalid argument \"foo\" for \"--filter\" flag: bad format of filter (expected name=value)",
        );
    }
}
