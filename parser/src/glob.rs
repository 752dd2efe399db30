//! Go's `filepath.Match` (B6-08): `*`, `?`, `[a-z]`, `[^x]`, `\`; nothing crosses a `/`.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    pattern: String,
}

/// The pattern is malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// An unclosed `[`, an empty class, a backslash at the end.
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        Ok(Self { pattern: pattern.to_owned() })
    }

    /// The pattern as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the pattern holds no special character, so that it matches only itself.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        todo!()
    }

    /// Whether the whole of `path` matches.
    #[must_use]
    pub fn matches(&self, _path: &[u8]) -> bool {
        todo!()
    }
}

/// Whether a text holds `*`, `?`, `[` or `\`: what makes COPY treat a source as a pattern.
#[must_use]
pub fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}
