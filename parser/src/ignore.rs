//! `.dockerignore` exactly as moby's patternmatcher reads it (C3), and `--exclude` lists.
//!
//! Patterns are anchored at the root. The last one that matches a path *or a parent of it* wins,
//! with one catch that BuildKit has and that is kept: a `!` line counts for a directory only if
//! that was excluded when the line was asked, so `a/*` and then `!a` does not let `a/x` in again.
//!
//! Patterns are compiled once; asking about a path allocates nothing. A walk that carries a
//! [`DirState`] from directory to directory, or has a [`Walk`] do so, asks nearly no pattern about
//! nearly no path.

mod bits;
mod ends;
mod general;
mod index;
mod pattern;
mod walk;

use crate::glob::BadPattern;
use bits::Bits;
use index::{Index, Progress};
use pattern::Matcher;

pub use walk::Walk;

/// A compiled ignore file or list of patterns.
#[derive(Clone, Debug, Default)]
pub struct IgnoreFile {
    patterns: Vec<Pattern>,
    has_exceptions: bool,
    index: Index,
}

#[derive(Clone, Debug)]
struct Pattern {
    line: usize,
    written: String,
    exception: bool,
    matcher: Matcher,
}

/// What is said about a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Whether the path is left out.
    pub excluded: bool,
    /// The line (from 1) that decided; `None` if no pattern matched.
    pub line: Option<usize>,
}

/// What is known about a directory, so that what lies in it is judged quickly.
#[derive(Clone, Debug)]
pub struct DirState {
    /// Which patterns match the directory or one of its parents.
    matched: Bits,
    verdict: Verdict,
    /// How far patterns have come with its path.
    progress: Progress,
}

impl DirState {
    /// What is said about the directory itself.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
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
    #[error("Failed to read the pattern `{pattern}` in line {line}")]
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
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.split('\n').enumerate().filter(|(_, line)| !line.starts_with('#'));
        Self::compile(lines)
    }

    /// Takes patterns as they come from `--exclude`; "line" n is the n-th pattern.
    ///
    /// # Errors
    /// See [`IgnoreError`].
    pub fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Self, IgnoreError> {
        Self::compile(patterns.iter().map(AsRef::as_ref).enumerate())
    }

    fn compile<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        for (index, written) in lines {
            let (line, written) = (index + 1, written.trim());
            if written.is_empty() {
                continue;
            }
            let stripped = written.strip_prefix('!');
            let text = stripped.map_or(written, str::trim);
            if text.is_empty() {
                return Err(IgnoreError::LoneExclamation { line });
            }
            let clean = pattern::clean(text);
            let matcher = Matcher::new(&clean).map_err(|source| IgnoreError::BadPattern {
                line,
                pattern: written.to_owned(),
                source,
            })?;
            let exception = stripped.is_some();
            patterns.push(Pattern { line, written: written.to_owned(), exception, matcher });
        }
        let has_exceptions = patterns.iter().any(|pattern| pattern.exception);
        let index = Index::new(&patterns);
        Ok(Self { patterns, has_exceptions, index })
    }

    /// Whether there is no pattern, so that nothing is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether any pattern begins with `!`.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// The pattern of line `line`, as written.
    #[must_use]
    pub fn pattern(&self, line: usize) -> Option<&str> {
        self.patterns.iter().find(|p| p.line == line).map(|p| p.written.as_str())
    }

    /// All patterns in order, cleaned as Docker's clients send them to a builder.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        let cleaned = |pattern: &Pattern| match pattern.written.strip_prefix('!') {
            Some(text) => format!("!{}", pattern::clean(text.trim())),
            None => pattern::clean(&pattern.written),
        };
        self.patterns.iter().map(cleaned).collect()
    }

    /// What is said about `path` (relative, `/`-separated, without a `/` at either end).
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> Verdict {
        // Without exceptions one pass tells most paths, those that nothing excludes.
        if !self.has_exceptions
            && !self.patterns.iter().any(|pattern| pattern.matcher.matches_or_parent(path))
        {
            return Verdict::default();
        }
        let mut matched = Bits::new(self.patterns.len());
        let mut verdict = Verdict::default();
        for end in memchr::memchr_iter(b'/', path).chain([path.len()]) {
            verdict = self.judge(&mut matched, &path[..end]);
            if verdict.excluded && !self.has_exceptions {
                break;
            }
        }
        verdict
    }

    /// The state of the root directory, to begin a walk with.
    #[must_use]
    pub fn root(&self) -> DirState {
        DirState {
            matched: Bits::new(self.patterns.len()),
            verdict: Verdict::default(),
            progress: self.index.root(&self.patterns),
        }
    }

    /// The state of the directory `path`, whose parent has the state `parent`.
    #[must_use]
    pub fn enter(&self, parent: &DirState, path: &[u8]) -> DirState {
        let mut matched = parent.matched.clone();
        let verdict = self.judge_in(parent, path, |index| matched.set(index));
        let progress = self.index.enter(&parent.progress, &self.patterns, path, name(path));
        DirState { matched, verdict, progress }
    }

    /// What is said about `path` in the directory with the state `parent`; the same as
    /// [`matches`](Self::matches) says.
    #[must_use]
    pub fn matches_in(&self, parent: &DirState, path: &[u8]) -> Verdict {
        self.judge_in(parent, path, |_| {})
    }

    /// The same as [`judge`](Self::judge) for a path in a directory whose state is known; tells
    /// which patterns match that do not match the directory.
    fn judge_in(&self, dir: &DirState, path: &[u8], mut found: impl FnMut(usize)) -> Verdict {
        // Without exceptions, what excludes a directory decides about all that is in it.
        if !self.has_exceptions && dir.verdict.excluded {
            return dir.verdict;
        }
        let name = name(path);
        let mut verdict = Verdict::default();
        for word in 0..self.patterns.len().div_ceil(64) {
            let matched = dir.matched.word(word);
            let mut bits = matched | self.index.candidates(&dir.progress, name, word);
            while bits != 0 {
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                let index = word * 64 + bit as usize;
                let pattern = &self.patterns[index];
                if matched & 1 << bit == 0 {
                    if pattern.exception != verdict.excluded
                        || !pattern.matcher.matches_last(path, name)
                    {
                        continue;
                    }
                    found(index);
                }
                if pattern.exception == verdict.excluded {
                    verdict = Verdict { excluded: !pattern.exception, line: Some(pattern.line) };
                }
            }
        }
        verdict
    }

    /// Whether the directory `path` is excluded and no `!` line can let in anything below it, so
    /// that a walk need not enter it.
    #[must_use]
    pub fn prunes(&self, path: &[u8]) -> bool {
        self.matches(path).excluded && !self.may_let_in_below(path)
    }

    /// The same as [`prunes`](Self::prunes) for a directory whose state is known.
    #[must_use]
    pub fn prunes_in(&self, state: &DirState, path: &[u8]) -> bool {
        state.verdict.excluded && !self.may_let_in_below(path)
    }

    fn may_let_in_below(&self, path: &[u8]) -> bool {
        self.patterns.iter().any(|p| p.exception && p.matcher.may_match_below(path))
    }

    /// Judges `path`; `matched` holds what matches its parent, then what matches it.
    fn judge(&self, matched: &mut Bits, path: &[u8]) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, pattern) in self.patterns.iter().enumerate() {
            if !matched.get(index) {
                // It could change nothing, and so is not asked; BuildKit remembers that as "no".
                if pattern.exception != verdict.excluded || !pattern.matcher.matches(path) {
                    continue;
                }
                matched.set(index);
            }
            if pattern.exception == verdict.excluded {
                verdict = Verdict { excluded: !pattern.exception, line: Some(pattern.line) };
            }
        }
        verdict
    }
}

/// What a path is called in its directory.
fn name(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..])
}
