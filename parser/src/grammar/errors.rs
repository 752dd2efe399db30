//! Where the grammar puts what is wrong, so that it can go on.

use crate::{Diagnostic, SourceFile, Span};

/// The longest physical line, in bytes without its line end (B1-02).
pub(super) const MAX_LINE: usize = 65_535;

/// Collects errors of a file.
pub(super) struct Errors<'a> {
    source: &'a SourceFile,
    found: Vec<Diagnostic>,
}

impl<'a> Errors<'a> {
    pub(super) fn new(source: &'a SourceFile) -> Self {
        Self { source, found: Vec::new() }
    }

    /// An error of the file as a whole.
    pub(super) fn file(&mut self, message: &str) {
        self.found.push(Diagnostic::error_in_file(message));
    }

    /// An error in how text is put together; BuildKit says these without a line in the message.
    pub(super) fn syntax(&mut self, message: impl Into<String>, span: Span) {
        self.found.push(Diagnostic::error(message, span));
    }

    /// An error in what an instruction says, which BuildKit begins with the instruction's line.
    pub(super) fn instruction(&mut self, message: &str, span: Span, instruction: Span) {
        let line = self.source.line_of(instruction.start);
        let message = format!("dockerfile parse error on line {line}: {message}");
        self.found.push(Diagnostic::error(message, span).within(instruction));
    }

    /// The error that was added last, to say more about it.
    pub(super) fn amend(&mut self, change: impl FnOnce(Diagnostic) -> Diagnostic) {
        if let Some(last) = self.found.pop() {
            self.found.push(change(last));
        }
    }

    /// Whether there is an error yet.
    pub(super) fn any(&self) -> bool {
        !self.found.is_empty()
    }

    /// How many there are, to find out whether something added one.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Says to which instruction the errors since `count` belong.
    pub(super) fn attribute(&mut self, since: usize, instruction: Span) {
        for error in &mut self.found[since..] {
            error.context.get_or_insert(instruction);
        }
    }

    /// All errors in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        self.found
    }
}
