//! Where something stands in a source file, and text that remembers it.

use std::fmt;
use std::ops::Range;

/// A range of bytes of one [`SourceFile`](crate::SourceFile): `start` is in it, `end` is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset just behind the last byte; never smaller than `start`.
    pub end: usize,
}

impl Span {
    /// A span from `start` to `end`; an `end` before `start` gives an empty span at `start`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end: if end < start { start } else { end } }
    }

    /// The empty span at `offset`.
    #[must_use]
    pub const fn at(offset: usize) -> Self {
        Self { start: offset, end: offset }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Number of bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The same as a range, to slice text with.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A value together with the bytes it was read from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spanned<T> {
    /// What was read.
    pub value: T,
    /// Where it was read.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts the two together.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A piece of text as the grammar read it: continuations joined, variables and quotes untouched.
///
/// The span runs from the first to the last byte in the file, so where a word was continued over
/// several lines it also holds the escape characters, line ends and comments between them, and
/// is longer than `text`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Word {
    /// The text, not expanded.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl Word {
    /// A word with its place.
    #[must_use]
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether expansion might change it: it holds `$`, a quote, or an escape character.
    #[must_use]
    pub fn may_expand(&self) -> bool {
        self.text.bytes().any(|byte| matches!(byte, b'$' | b'\'' | b'"' | b'\\' | b'`'))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.text, self.span)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
