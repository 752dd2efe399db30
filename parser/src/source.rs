//! A source file: its name, its text, and which byte is in which line.

use crate::Span;

/// Text with a name, and a table of line starts so that a [`Span`] can be shown to a person.
#[derive(Clone, Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    /// Offset of the first byte of every line; the first is 0.
    lines: Vec<usize>,
}

/// A place in a file as people count: both from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl SourceFile {
    /// Takes `text` under the name that messages shall use, such as `Dockerfile` or `-`.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Self { name: name.into(), text, lines }
    }

    /// Takes bytes from a file or a network; what is no UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(name, text),
            Err(_) => Self::new(name, String::from_utf8_lossy(bytes)),
        }
    }

    /// What the file is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text below `span`; what lies outside the file is left away.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start.min(self.text.len())..span.end.min(self.text.len())).unwrap_or("")
    }

    /// Offsets of the first bytes of all lines.
    pub(crate) fn line_starts(&self) -> &[usize] {
        &self.lines
    }

    /// Number of lines; a line end at the very end starts no line.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines.len() - usize::from(self.text.is_empty() || self.text.ends_with('\n'))
    }

    /// The line (from 1) that holds byte `offset`.
    #[must_use]
    pub fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Line and column of byte `offset`, for people.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_of(offset);
        // A byte order mark is no column.
        let bom = line == 1 && self.text.starts_with('\u{feff}');
        let start = self.lines[line - 1] + if bom { '\u{feff}'.len_utf8() } else { 0 };
        let column = self.slice(Span::new(start, offset)).chars().count() + 1;
        Position { line, column }
    }

    /// First and last line (from 1) that `span` touches.
    #[must_use]
    pub fn line_range(&self, span: Span) -> (usize, usize) {
        let last = if span.is_empty() { span.start } else { span.end - 1 };
        (self.line_of(span.start), self.line_of(last))
    }

    /// Line `number` (from 1) without its line end; empty for a line that there is not.
    #[must_use]
    pub fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|i| self.lines.get(i)) else { return "" };
        let end = self.lines.get(number).copied().unwrap_or(self.text.len());
        let line = &self.text[*start..end];
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns() {
        let source = SourceFile::new("x", "FROM a\r\n\nRUN é x");
        assert_eq!(source.line_count(), 3);
        assert_eq!((source.line(1), source.line(2), source.line(4)), ("FROM a", "", ""));
        let x = source.text().len() - 1;
        assert_eq!(source.position(x), Position { line: 3, column: 7 });
        assert_eq!(source.position(x + 1), Position { line: 3, column: 8 });
        assert_eq!(source.line_range(Span::new(0, 8)), (1, 1));
        assert_eq!(source.line_range(Span::new(0, 9)), (1, 2));
        assert_eq!(source.slice(Span::new(5, 6)), "a");
        assert_eq!(source.slice(Span::new(14, 99)), "");
    }

    #[test]
    fn odd_files() {
        assert_eq!(SourceFile::new("x", "").line_count(), 0);
        assert_eq!(SourceFile::new("x", "a\n").line_count(), 1);
        assert_eq!(SourceFile::new("x", "\u{feff}FROM a").position(3).column, 1);
        assert_eq!(SourceFile::from_bytes("x", b"a\xff").text(), "a\u{fffd}");
    }
}
