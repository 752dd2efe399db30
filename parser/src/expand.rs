//! Variable expansion exactly as BuildKit's shell lexer does it (B3).
//!
//! A [`Lexer`] turns a word of the syntax tree into a value: quotes and escapes are taken away,
//! `$v` and `${v…}` replaced by what a [`Lookup`] says. It reads one word at a time and knows
//! nothing of instructions; which words are expanded, with which variables, is the caller's.

mod lexer;
mod pattern;
mod substitution;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::Word;
use crate::ast::Heredoc;

/// Where the values of variables come from.
pub trait Lookup {
    /// The value of `name`, or `None` if it is not set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Lookup for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl Lookup for HashMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// Nothing is set.
impl Lookup for () {
    fn get(&self, _name: &str) -> Option<&str> {
        None
    }
}

/// How words are read.
#[derive(Clone, Copy, Debug)]
pub struct Lexer {
    /// `\` or a backquote, as the escape directive says.
    pub escape: char,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes mean nothing and stay; how here-documents are expanded.
    pub skip_quotes: bool,
    /// Variables that are not set stay as written.
    pub keep_unset: bool,
}

/// What a word became.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expanded {
    /// The value as one string.
    pub text: String,
    /// The value split at unquoted spaces, also at those that came out of variables (`EXPOSE`).
    pub words: Vec<String>,
    /// Names that were looked up and found.
    pub used: BTreeSet<String>,
    /// Names that were looked up and not found; for the rule UndefinedVar.
    pub unset: BTreeSet<String>,
}

/// Why a word cannot be expanded. Displays as BuildKit says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("failed to process {}: {message}", crate::go::quote(word))]
pub struct ExpandError {
    /// The word.
    pub word: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Why, without the word.
struct Reason {
    message: String,
    hint: String,
}

impl Reason {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Lexer {
    /// A lexer that removes quotes and escapes, as for every instruction.
    #[must_use]
    pub const fn new(escape: char) -> Self {
        Self {
            escape,
            raw_quotes: false,
            raw_escapes: false,
            skip_quotes: false,
            keep_unset: false,
        }
    }

    /// A lexer for the content of here-documents of COPY and ADD: quotes stay (B8-08), and the
    /// escape character is `\` whatever the directive says (B2-05).
    #[must_use]
    pub const fn for_heredoc() -> Self {
        Self { skip_quotes: true, ..Self::new('\\') }
    }

    /// Expands one word.
    ///
    /// # Errors
    /// A bad substitution, an unclosed quote, a bad pattern, or `${v:?message}`.
    pub fn expand(&self, word: &str, env: &dyn Lookup) -> Result<Expanded, ExpandError> {
        self.run(word, env, true)
    }

    /// Expands one word to one string; its parts ([`Expanded::words`]) are not collected.
    ///
    /// # Errors
    /// As [`expand`](Self::expand).
    pub fn value(&self, word: &str, env: &dyn Lookup) -> Result<Expanded, ExpandError> {
        self.run(word, env, false)
    }

    fn run(&self, word: &str, env: &dyn Lookup, words: bool) -> Result<Expanded, ExpandError> {
        lexer::run(*self, word, env, words).map_err(|Reason { message, hint }| ExpandError {
            word: word.to_owned(),
            message,
            hint,
        })
    }

    /// Expands a word of the syntax tree to one string.
    ///
    /// # Errors
    /// As [`expand`](Self::expand).
    pub fn text(&self, word: &Word, env: &dyn Lookup) -> Result<String, ExpandError> {
        self.value(&word.text, env).map(|expanded| expanded.text)
    }
}

/// The content of a here-document of COPY or ADD, expanded unless its delimiter is quoted.
///
/// # Errors
/// As [`Lexer::expand`].
pub fn heredoc(heredoc: &Heredoc, env: &dyn Lookup) -> Result<Expanded, ExpandError> {
    let content = heredoc.content();
    if !heredoc.expand {
        return Ok(Expanded { text: content, ..Expanded::default() });
    }
    Lexer::for_heredoc().value(&content, env)
}
