//! Variable expansion exactly as BuildKit's shell lexer does it (B3).

use std::collections::BTreeSet;

/// Where the values of variables come from.
pub trait Lookup {
    /// The value of `name`, or `None` if it is not set.
    fn get(&self, name: &str) -> Option<&str>;
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
    /// Quotes mean nothing and stay; what is expanded in here-documents.
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
#[error("failed to process {word:?}: {message}")]
pub struct ExpandError {
    /// The word.
    pub word: String,
    /// What is wrong with it.
    pub message: String,
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

    /// Expands one word.
    ///
    /// # Errors
    /// A bad substitution, an unclosed quote, a bad pattern, or `${v:?message}`.
    pub fn expand(&self, _word: &str, _env: &dyn Lookup) -> Result<Expanded, ExpandError> {
        todo!()
    }
}
