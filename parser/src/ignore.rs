//! `.dockerignore` exactly as moby's patternmatcher reads it (C3), and `--exclude` lists.

use crate::glob::BadPattern;

/// A compiled ignore file or list of patterns. Cheap to ask: nothing is allocated per path.
#[derive(Clone, Debug, Default)]
pub struct IgnoreFile {}

/// What is said about a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the path is left out.
    pub excluded: bool,
    /// The line (from 1) that decided; `None` if no pattern matched.
    pub line: Option<usize>,
}

/// Why an ignore file is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IgnoreError {
    /// A line with nothing but `!`.
    #[error("illegal exclusion pattern: \"!\"")]
    LoneExclamation {
        /// The line, from 1.
        line: usize,
    },
    /// A pattern that does not compile.
    #[error("{source}: {pattern:?}")]
    BadPattern {
        /// The line, from 1.
        line: usize,
        /// The pattern.
        pattern: String,
        /// Why.
        source: BadPattern,
    },
}

impl IgnoreFile {
    /// Reads the text of an ignore file.
    ///
    /// # Errors
    /// See [`IgnoreError`].
    pub fn parse(_text: &str) -> Result<Self, IgnoreError> {
        todo!()
    }

    /// Takes patterns as they come from `--exclude`; "line" n is the n-th pattern.
    ///
    /// # Errors
    /// See [`IgnoreError`].
    pub fn from_patterns<S: AsRef<str>>(_patterns: &[S]) -> Result<Self, IgnoreError> {
        todo!()
    }

    /// Whether there is no pattern, so that nothing is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Whether any pattern begins with `!`.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        todo!()
    }

    /// What is said about `path` (relative, `/`-separated, no leading `/`). A pattern that
    /// matches a parent directory matches everything below it; the last line that matches wins.
    #[must_use]
    pub fn matches(&self, _path: &[u8]) -> Verdict {
        todo!()
    }

    /// Whether the directory `path` is excluded and no `!` line can let in anything below it, so
    /// that a walk need not enter it.
    #[must_use]
    pub fn prunes(&self, _path: &[u8]) -> bool {
        todo!()
    }

    /// The pattern of line `line`, as written.
    #[must_use]
    pub fn pattern(&self, _line: usize) -> Option<&str> {
        todo!()
    }
}
