//! Variables: which are set where, and the expansion of words with errors that have a place.
//!
//! A global ARG is seen by FROM lines and later global ARGs, and is the default of a bare ARG of
//! the same name in a stage. In a stage, ENV and ARG of one name are one variable, which the later
//! of the two sets, also over an ENV that the base image brought. An ARG without a value sets
//! nothing, and no ARG ever changes the ENV of the image.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gantry_parser::{
    Diagnostic, Word,
    expand::{ExpandError, Expanded, Lexer, Lookup},
    go::parse_bool,
    lint,
};

use crate::op::EnvVar;

/// Variables that are set before the first FROM, and which ARGs the file declares there.
#[derive(Debug, Default)]
pub(super) struct Globals {
    pub(super) values: BTreeMap<String, String>,
    pub(super) declared: BTreeSet<String>,
}

impl Lookup for Globals {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// The variables of a stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    set: BTreeMap<Arc<str>, Arc<str>>,
    /// Which of them an ARG set last.
    by_arg: BTreeSet<Arc<str>>,
    /// ARGs in the order of their first declaration, with or without a value.
    args: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// All of `set`, made when it is needed.
    env: Option<Arc<[EnvVar]>>,
    /// What a RUN's history begins with, likewise.
    prefix: Option<Arc<str>>,
}

impl Lookup for Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(|value| &**value)
    }
}

impl Variables {
    /// Sets an ENV.
    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        self.set.insert(name.into(), value.into());
        self.by_arg.remove(name);
        (self.env, self.prefix) = (None, None);
    }

    /// Declares an ARG; without a value it is not set.
    pub(super) fn declare(&mut self, name: &str, value: Option<&str>) {
        let value: Option<Arc<str>> = value.map(Into::into);
        match self.args.iter_mut().find(|(known, _)| **known == *name) {
            Some(known) => known.1.clone_from(&value),
            None => self.args.push((name.into(), value.clone())),
        }
        self.prefix = None;
        if let Some(value) = value.filter(|_| !NOT_EXPORTED.contains(&name)) {
            self.set.insert(name.into(), value);
            self.by_arg.insert(name.into());
            self.env = None;
        }
    }

    /// Returns the environment of a process, sorted by name.
    pub(super) fn env(&mut self) -> Arc<[EnvVar]> {
        let set = &self.set;
        let vars = || {
            set.iter()
                .map(|(name, value)| EnvVar {
                    name: name.clone(),
                    value: value.clone(),
                    arg: self.by_arg.contains(name),
                })
                .collect()
        };
        self.env.get_or_insert_with(vars).clone()
    }

    /// Returns what the history puts in front of a RUN: `|2 a=1 b=2 `, or nothing.
    pub(super) fn history_prefix(&mut self) -> Arc<str> {
        if let Some(prefix) = &self.prefix {
            return Arc::clone(prefix);
        }
        let mut text = String::new();
        if !self.args.is_empty() {
            let of = |(name, value): &(Arc<str>, Option<Arc<str>>)| {
                let value = self.get(name).or(value.as_deref()).unwrap_or_default();
                name.len() + value.len() + 2
            };
            text.reserve(self.args.iter().map(of).sum::<usize>() + 8);
            text.push('|');
            text.push_str(&self.args.len().to_string());
            for (name, value) in &self.args {
                let value = self.get(name).or(value.as_deref()).unwrap_or_default();
                for part in [" ", name, "=", value] {
                    text.push_str(part);
                }
            }
            text.push(' ');
        }
        let prefix = Arc::from(text);
        self.prefix = Some(Arc::clone(&prefix));
        prefix
    }

    /// Returns warnings for names that are not set, and not declared either.
    pub(super) fn undefined(&self, unset: &BTreeSet<String>, word: &Word) -> Vec<Diagnostic> {
        let undeclared = unset.iter().filter(|name| {
            !NOT_EXPORTED.contains(&name.as_str())
                && !self.args.iter().any(|(declared, _)| **declared == ***name)
        });
        undeclared
            .map(|name| {
                let message = lint::undefined_var::message(name, self.set.keys());
                Diagnostic::warning("UndefinedVar", message, word.span)
            })
            .collect()
    }
}

const SCAN_CONTEXT: &str = "BUILDKIT_SBOM_SCAN_CONTEXT";
const SCAN_STAGE: &str = "BUILDKIT_SBOM_SCAN_STAGE";

/// ARGs that configure the builder and never become variables.
const NOT_EXPORTED: [&str; 2] = [SCAN_CONTEXT, SCAN_STAGE];

/// What of a stage a bill of materials is to tell of (B7-15).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The build context, if the stage is the target.
    pub(super) context: bool,
    /// The stage itself.
    pub(super) stage: bool,
}

impl Scan {
    /// What a global ARG says of a stage.
    pub(super) fn of_globals(globals: &Globals, stage: Option<&str>) -> Self {
        let mut scan = Self::default();
        for name in NOT_EXPORTED {
            scan.note(name, globals.get(name), stage);
        }
        scan
    }

    /// Takes notice of an ARG: its value is a bool, or a list of the stages that are meant.
    pub(super) fn note(&mut self, name: &str, value: Option<&str>, stage: Option<&str>) {
        let Some(value) = value else { return };
        let wanted = parse_bool(value)
            .unwrap_or_else(|| stage.is_some_and(|stage| value.split(',').any(|n| n == stage)));
        match name {
            SCAN_CONTEXT => self.context = wanted,
            SCAN_STAGE => self.stage = wanted,
            _ => {}
        }
    }
}

/// Names that need no ARG to be given by `--build-arg` (B7-10, B7-11, B7-13).
pub(super) const PREDEFINED: &[&str] = &[
    "ALL_PROXY",
    "BUILDARCH",
    "BUILDKIT_BUILD_NAME",
    "BUILDKIT_CACHE_MOUNT_NS",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_DOCKERFILE_CHECK",
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SANDBOX_HOSTNAME",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
    "BUILDKIT_SYNTAX",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SOURCE_DATE_EPOCH",
    "TARGETARCH",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
];

/// The proxies that a process gets, in both cases, without being asked for (B7-10).
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Returns the proxy variables among the build args.
pub(super) fn proxies(build_args: &BTreeMap<String, String>) -> Arc<[EnvVar]> {
    let mut vars = Vec::new();
    for proxy in PROXIES {
        let given = build_args.iter().find(|(name, _)| name.eq_ignore_ascii_case(proxy));
        if let Some((_, value)) = given {
            for name in [proxy.to_owned(), proxy.to_lowercase()] {
                vars.push(EnvVar { name: name.into(), value: value.as_str().into(), arg: true });
            }
        }
    }
    vars.into()
}

/// Expands a word to its value alone, if it holds no variable, quote or escape; else nothing.
pub(super) fn as_it_is(word: &Word) -> Option<&str> {
    (!word.may_expand()).then_some(word.text.as_str())
}

/// Expands a word; an error underlines it.
pub(super) fn expand(
    lexer: &Lexer,
    word: &Word,
    variables: &dyn Lookup,
) -> Result<Expanded, Diagnostic> {
    if !word.may_expand() {
        // The common case, without a walk through the lexer.
        return Ok(Expanded { text: word.text.clone(), ..Expanded::default() });
    }
    lexer.value(&word.text, variables).map_err(|error| underlined(error, word))
}

/// Expands a word into several (`EXPOSE`).
pub(super) fn expand_words(
    lexer: &Lexer,
    word: &Word,
    variables: &dyn Lookup,
) -> Result<Expanded, Diagnostic> {
    lexer.expand(&word.text, variables).map_err(|error| underlined(error, word))
}

fn underlined(error: ExpandError, word: &Word) -> Diagnostic {
    Diagnostic::error(error.to_string(), word.span).with_hint(error.hint)
}
