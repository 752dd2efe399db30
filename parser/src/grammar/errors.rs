//! Where the grammar puts what is wrong, so that it can go on.
//!
//! A hint is no option here: who refuses something knows what would be accepted.

use crate::{Diagnostic, SourceFile, Span};

/// The longest physical line, in bytes without its line end (B1-02).
pub(super) const MAX_LINE: usize = 65_535;

/// Nobody reads more errors than this; a hostile file could make millions.
const MAX_ERRORS: usize = 1_000;

/// Collects errors of a file: keeps the first [`MAX_ERRORS`], counts the others.
pub(super) struct Errors<'a> {
    source: &'a SourceFile,
    found: Vec<Diagnostic>,
    count: usize,
}

impl<'a> Errors<'a> {
    pub(super) fn new(source: &'a SourceFile) -> Self {
        Self { source, found: Vec::new(), count: 0 }
    }

    fn add(&mut self, error: impl FnOnce(&SourceFile) -> Diagnostic) {
        self.count += 1;
        if self.found.len() < MAX_ERRORS {
            self.found.push(error(self.source));
        }
    }

    /// An error of the file as a whole.
    pub(super) fn file(&mut self, message: &str, hint: impl Into<String>) {
        self.add(|_| Diagnostic::error_in_file(message).with_hint(hint));
    }

    /// An error in how text is put together; BuildKit says these without a line in the message.
    pub(super) fn syntax(
        &mut self,
        message: impl Into<String>,
        span: Span,
        hint: impl Into<String>,
    ) {
        self.add(|_| Diagnostic::error(message, span).with_hint(hint));
    }

    /// An error in what an instruction says, which BuildKit begins with the instruction's line.
    pub(super) fn instruction(
        &mut self,
        message: &str,
        span: Span,
        instruction: Span,
        hint: impl Into<String>,
    ) {
        self.add(|source| {
            let line = source.line_of(instruction.start);
            let message = format!("dockerfile parse error on line {line}: {message}");
            Diagnostic::error(message, span).within(instruction).with_hint(hint)
        });
    }

    /// Says more about the error that was added last, if that was kept.
    pub(super) fn amend(&mut self, change: impl FnOnce(Diagnostic) -> Diagnostic) {
        if self.count == self.found.len()
            && let Some(last) = self.found.pop()
        {
            self.found.push(change(last));
        }
    }

    /// Whether further errors are only counted, so that no work need go into them.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() == MAX_ERRORS
    }

    /// How many there are, to find out whether something added one.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Says to which instruction the errors since the `since`-th belong.
    pub(super) fn attribute(&mut self, since: usize, instruction: Span) {
        for error in self.found.iter_mut().skip(since) {
            error.context.get_or_insert(instruction);
        }
    }

    /// The errors in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        if self.count > self.found.len() {
            let more = self.count - self.found.len();
            let error = Diagnostic::error_in_file(format!("{more} more errors are not shown"));
            self.found.push(error.with_hint("Mend some of the others first"));
        }
        self.found
    }
}
