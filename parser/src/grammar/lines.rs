//! Physical lines: LF or CRLF, a byte order mark on the first, and their limit (B1-01, B1-02).

use super::errors::{Errors, MAX_LINE};
use crate::{SourceFile, Span};

/// A line of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Without the line end.
    pub(super) text: &'a str,
    /// Offset of its first byte in the file.
    pub(super) start: usize,
    /// Offset behind its line end.
    pub(super) next: usize,
}

impl Line<'_> {
    /// Whether it begins with a letter, and so is neither blank nor a comment.
    pub(super) fn begins_with_letter(&self) -> bool {
        self.text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
    }

    pub(super) fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text.len())
    }

    /// Whether it is blank.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// The text of a comment behind its `#`, with the offset of that text in the file.
    pub(super) fn comment(&self) -> Option<(&str, usize)> {
        let trimmed = self.text.trim_start();
        let comment = trimmed.strip_prefix('#')?;
        Some((comment, self.start + (self.text.len() - comment.len())))
    }
}

/// Hands out lines one after the other.
#[derive(Clone)]
pub(super) struct Lines<'a> {
    source: &'a SourceFile,
    at: usize,
    /// How many lines were handed out.
    line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a SourceFile) -> Self {
        let bom = if source.text().starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { source, at: bom, line: 0 }
    }

    /// The next line, without moving on.
    pub(super) fn peek(&self) -> Option<Line<'a>> {
        let all = self.source.text();
        if self.at == all.len() {
            return None;
        }
        let (end, next) = match self.source.line_starts().get(self.line + 1) {
            Some(&next) => (next - 1, next),
            None => (all.len(), all.len()),
        };
        let text = &all[self.at..end];
        Some(Line { text: text.trim_end_matches('\r'), start: self.at, next })
    }

    /// The text from byte `start` to the next line.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.source.text()[start..self.at]
    }

    /// How many lines there are, those that were handed out included.
    pub(super) fn total(&self) -> usize {
        self.source.line_count()
    }

    /// Offset of the next line.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Reports every line that is too long.
    pub(super) fn check_lengths(&self, errors: &mut Errors<'_>) {
        let starts = self.source.line_starts();
        let last = self.source.text().len() - starts.last().copied().unwrap_or(0);
        if last <= MAX_LINE && starts.windows(2).all(|pair| pair[1] - pair[0] <= MAX_LINE) {
            return;
        }
        for line in self.clone() {
            if line.next - line.start > MAX_LINE + 1 {
                let message =
                    format!("dockerfile line greater than max allowed size of {MAX_LINE}");
                let hint = "Break it with the escape character, or COPY the text from a file";
                errors.syntax(message, Span::at(line.start), hint);
            }
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let line = self.peek()?;
        self.at = line.next;
        self.line += 1;
        Some(line)
    }
}
