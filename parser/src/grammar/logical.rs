//! Logical lines: what remains of an instruction's lines when continuations are joined and
//! comments are gone (B1-04..08), with the way back to the file.

use super::lines::Lines;
use crate::{SourceFile, Span, Word};

/// One instruction's text on one line.
#[derive(Debug, Default)]
pub(super) struct Logical {
    /// The text, leading space of the first line removed.
    pub(super) text: String,
    /// The blank lines inside, which are skipped and frowned upon.
    pub(super) blank_lines: Vec<Span>,
    /// Where the pieces of `text` come from that do not come from `start`: offset in `text`, offset
    /// in the file; both ascend.
    pieces: Vec<(usize, usize)>,
    start: usize,
    end: usize,
}

impl Logical {
    /// Reads the next instruction's lines; skips nothing, so the next line must start one.
    ///
    /// `None` if the line holds nothing, or there is none.
    pub(super) fn read(lines: &mut Lines<'_>, escape: char) -> Option<Self> {
        let mut logical = Self::default();
        logical.fill(lines, escape).then_some(logical)
    }

    /// Like [`read`](Self::read), in the place of an earlier one; false if there is nothing.
    pub(super) fn fill(&mut self, lines: &mut Lines<'_>, escape: char) -> bool {
        let Some(line) = lines.next() else { return false };
        let text = line.text.trim_start();
        let start = line.start + (line.text.len() - text.len());
        let (content, mut continued) = split_continuation(text, escape);
        self.text.clear();
        self.blank_lines.clear();
        self.pieces.clear();
        (self.start, self.end) = (start, start + text.len());
        if content.is_empty() && !continued {
            return false;
        }
        self.push(content, start);
        while continued {
            let Some(line) = lines.next() else { break };
            if line.comment().is_some() {
                continue;
            }
            if line.is_blank() {
                self.blank_lines.push(line.span());
                continue;
            }
            let (content, more) = split_continuation(line.text, escape);
            self.push(content, line.start);
            self.end = line.span().end;
            continued = more;
        }
        true
    }

    fn push(&mut self, content: &str, start: usize) {
        if !content.is_empty() {
            if start != self.start {
                self.pieces.push((self.text.len(), start));
            }
            self.text.push_str(content);
        }
    }

    /// All of its lines.
    pub(super) fn whole(&self) -> Span {
        Span::new(self.start, self.end)
    }

    /// Where lines of the file were joined, up to the end of the file's lines at byte `end`.
    pub(super) fn joints<'s>(&self, source: &'s SourceFile, end: usize) -> Vec<Joint<'s>> {
        let mut joints = Vec::new();
        let mut before = (0, self.start);
        let ends = [(self.text.len(), end)];
        for (at, start) in self.pieces.iter().chain(&ends).copied() {
            let last = before.1 + (at - before.0);
            let skipped = source.slice(Span::new(last, start));
            let mut lines = skipped.split('\n').skip(1).map(str::trim).peekable();
            if lines.peek().is_some() {
                let comments = lines.filter(|line| line.starts_with('#')).collect();
                joints.push(Joint { at, comments });
            }
            before = (at, start);
        }
        joints
    }

    /// Where `part`, a slice of [`text`](Self::text), stands in the file.
    ///
    /// A string from elsewhere has the place of the whole line.
    pub(super) fn span(&self, part: &str) -> Span {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if offset > self.text.len() || offset + part.len() > self.text.len() {
            return self.whole();
        }
        let start = self.source(offset);
        if part.is_empty() {
            return Span::at(start);
        }
        Span::new(start, self.source(offset + part.len() - 1) + 1)
    }

    /// `part`, a slice of [`text`](Self::text), as a word.
    pub(super) fn word(&self, part: &str) -> Word {
        Word::new(part, self.span(part))
    }

    fn source(&self, offset: usize) -> usize {
        let index = self.pieces.partition_point(|(at, _)| *at <= offset);
        match index.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            Some((at, start)) => start + (offset - at),
            None => self.start + offset,
        }
    }
}

/// A place where lines were joined.
#[derive(Debug)]
pub(super) struct Joint<'s> {
    /// Offset in [`Logical::text`].
    pub(super) at: usize,
    /// The comments between the lines, without outer space.
    pub(super) comments: Vec<&'s str>,
}

/// The content of a line, and whether it goes on in the next: an escape character at its end,
/// maybe with blanks behind, that is not escaped itself.
fn split_continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(content) if !content.ends_with(escape) => (content, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lead_back_over_continuations() {
        let source = SourceFile::new("x", "  RUN a\\\n# no\n\n b\\ \t\nc\n");
        let logical = Logical::read(&mut Lines::new(&source), '\\').unwrap();
        assert_eq!(logical.text, "RUN a bc");
        assert_eq!(logical.blank_lines.len(), 1);
        for part in ["RUN", "b", "c"] {
            let at = logical.text.find(part).unwrap();
            let span = logical.span(&logical.text[at..at + part.len()]);
            assert_eq!(source.slice(span), part);
        }
        assert_eq!(source.slice(logical.span(&logical.text[6..8])), "b\\ \t\nc");
        assert_eq!(source.slice(logical.whole()), "RUN a\\\n# no\n\n b\\ \t\nc");
    }

    #[test]
    fn continuation_needs_an_unescaped_escape() {
        assert_eq!(split_continuation("a \\  ", '\\'), ("a ", true));
        assert_eq!(split_continuation("a \\\\", '\\'), ("a \\\\", false));
        assert_eq!(split_continuation("a \\\\\\", '\\'), ("a \\\\\\", false));
        assert_eq!(split_continuation("\\", '\\'), ("", true));
        assert_eq!(split_continuation("a \\", '`'), ("a \\", false));
        assert_eq!(split_continuation("a `", '`'), ("a ", true));
    }
}
