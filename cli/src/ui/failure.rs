//! What a command ends with when it fails, and the one place that prints it.
//!
//! An error is three things: what failed (its text), why (its sources, printed as `caused by`), and
//! what to do (a `hint`). The exit code says whose fault it was.

use std::error::Error;
use std::fmt;
use std::io;

use gantry_cache::StoreError;
use gantry_executor::registry::TransferError;
use gantry_image::registry::RegistryError;
use gantry_parser::{Diagnostic, SourceFile};

use super::Ui;
use super::excerpt::Place;
use super::github::{self, Mark};

/// Why a command failed. As large as a pointer, since it is rare and passes through everything.
#[derive(Debug)]
pub(crate) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    error: anyhow::Error,
    hints: Vec<String>,
    code: u8,
    notes: Vec<String>,
    /// What else is wrong in the same file; said before the error itself.
    others: String,
    /// The lines of a file that the error is about.
    excerpt: String,
    /// Marks in files, and what is said at them.
    marks: Vec<(Mark, String)>,
    /// Whether the text is printed as it is.
    bare: bool,
}

impl Failure {
    /// An error in what was asked for, or met on the way: exit code 1.
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        let mut failure = Self::from_anyhow(error.into());
        let hint = failure.0.error.chain().find_map(hint_of);
        failure.0.hints.extend(hint);
        failure
    }

    /// An error known by its text alone.
    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Self::from_anyhow(anyhow::Error::msg(text.to_string()))
    }

    /// An error in the command line itself: exit code 125, as docker has it.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::text(text).with_code(125)
    }

    /// An error known by its text and those of its causes, the outermost first.
    pub(crate) fn chain(texts: Vec<String>) -> Self {
        let mut texts = texts.into_iter().rev();
        let innermost = texts.next().unwrap_or_else(|| "Unknown error".to_owned());
        let error = texts.fold(anyhow::Error::msg(innermost), |error, text| error.context(text));
        Self::from_anyhow(error)
    }

    fn from_anyhow(error: anyhow::Error) -> Self {
        Self(Box::new(Inner {
            error,
            hints: Vec::new(),
            code: 1,
            notes: Vec::new(),
            others: String::new(),
            excerpt: String::new(),
            marks: Vec::new(),
            bare: false,
        }))
    }

    /// Puts what was being done in front; the error so far becomes its cause.
    pub(crate) fn context(mut self, text: impl fmt::Display) -> Self {
        self.0.error = self.0.error.context(text.to_string());
        self
    }

    /// Puts a few words before the error's own text.
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        let text = format!("{prefix}{}", self.0.error);
        self.0.error = Prefixed { text, source: self.0.error.into() }.into();
        self
    }

    /// The same with another exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.0.code = code;
        self
    }

    /// Adds what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Says that the error is the first of these, and that the others are wrong as well.
    pub(crate) fn with_diagnostics(mut self, all: &[Diagnostic], source: &SourceFile) -> Self {
        let Some((first, others)) = all.split_first() else { return self };
        for other in others {
            let mut failure = Failure::text(&other.message);
            failure.explain(other, source);
            self.0.marks.append(&mut failure.0.marks);
            self.0.others.push_str(&format!("{}\n", failure.render()));
        }
        self.explain(first, source);
        self
    }

    fn explain(&mut self, diagnostic: &Diagnostic, source: &SourceFile) {
        if let Some(place) = Place::of(diagnostic, source) {
            self.0.excerpt = place.show(source);
            self.mark(&place, source, diagnostic.code, &diagnostic.message);
        }
        for label in diagnostic.labels.iter().skip(1) {
            let line = source.line_of(label.span.start);
            self.0.notes.push(format!("{}:{line}: {}", source.name(), label.text));
        }
        self.0.notes.extend_from_slice(&diagnostic.notes);
        self.0.hints.extend(diagnostic.hint.clone());
    }

    /// Says which part of a file the error is about.
    pub(crate) fn at(mut self, place: &Place, source: &SourceFile) -> Self {
        self.0.excerpt = place.show(source);
        let said = self.0.error.to_string();
        self.mark(place, source, None, &said);
        self
    }

    fn mark(&mut self, place: &Place, source: &SourceFile, code: Option<&str>, said: &str) {
        let file = source.name().to_owned();
        let mark = Mark { file, lines: Some(place.lines()), title: code.map(str::to_owned) };
        self.0.marks.push((mark, said.to_owned()));
    }

    /// Says what the file is called from where marks are read.
    pub(crate) fn in_file(mut self, path: &str) -> Self {
        for (mark, _) in &mut self.0.marks {
            path.clone_into(&mut mark.file);
        }
        self
    }

    /// Leaves out the word that other errors begin with.
    pub(crate) fn bare(mut self) -> Self {
        self.0.bare = true;
        self
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.0.code
    }

    /// Whether the only thing that failed is that nobody reads stdout any more.
    pub(crate) fn broken_pipe(&self) -> bool {
        self.0
            .error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|err| err.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Prints all of it to stderr.
    pub(crate) fn print(&self, ui: &Ui) {
        ui.note(self.render().trim_end_matches('\n'));
        if github::is_on() {
            for (mark, said) in &self.0.marks {
                ui.note(mark.line("error", said));
            }
        }
    }

    fn render(&self) -> String {
        let mut text = format!("{}{}", self.0.others, self.0.excerpt);
        let mut said = self.0.error.to_string();
        let word = if self.0.bare { "" } else { "ERROR: " };
        text.push_str(&format!("{word}{said}\n"));
        for cause in self.0.error.chain().skip(1) {
            // Some errors of other crates already say their cause themselves.
            let cause = cause.to_string();
            if !said.ends_with(&cause) {
                text.push_str(&format!("  caused by: {cause}\n"));
                said = cause;
            }
        }
        for note in &self.0.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        for hint in &self.0.hints {
            text.push_str(&format!("hint: {hint}\n"));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

/// What an error of another room says can be done about it.
fn hint_of(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<TransferError>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<RegistryError>() {
        return error.hint();
    }
    None
}

/// An error with words put before it; its causes are those of the error.
#[derive(Debug)]
struct Prefixed {
    text: String,
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Prefixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Prefixed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_parser::Span;

    #[derive(Debug, thiserror::Error)]
    #[error("Failed to mount `/proc`")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("The kernel refused: {0}")]
    struct Middle(#[source] io::Error);

    fn outer() -> Outer {
        Outer(Middle(io::Error::other("no space")))
    }

    #[test]
    fn causes_are_walked_and_not_repeated() {
        let failure = Failure::new(outer()).with_hint("Make room");
        assert_eq!(
            failure.render(),
            "ERROR: Failed to mount `/proc`\n  caused by: The kernel refused: no space\nhint: Make room\n"
        );
        let failure = Failure::new(outer()).prefixed("failed to solve: ").with_code(3);
        assert_eq!(
            failure.render(),
            "ERROR: failed to solve: Failed to mount `/proc`\n  caused by: The kernel refused: no space\n"
        );
        assert_eq!(failure.code(), 3);
    }

    #[test]
    fn a_closed_pipe_is_found_below_other_errors() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::new(Outer(Middle(closed))).context("writing").broken_pipe());
        assert!(!Failure::new(outer()).broken_pipe());
    }

    #[test]
    fn places_come_before_the_error() {
        let source = SourceFile::new("Dockerfile", "FORM x\nRUN y\n");
        let failure = Failure::text("unknown instruction: FORM")
            .prefixed("failed to solve: ")
            .with_diagnostics(
                &[
                    Diagnostic::error("unknown instruction: FORM", Span::new(0, 4)),
                    Diagnostic::error("a second one", Span::new(7, 10))
                        .and_label(Span::new(0, 6), "because of this")
                        .with_hint("Do better"),
                ],
                &source,
            );
        insta::assert_snapshot!(failure.render(), @"
        Dockerfile:2
        --------------------
           1 |     FORM x
           2 | >>> RUN y
             |     ^^^
        --------------------
        ERROR: a second one
          note: Dockerfile:1: because of this
        hint: Do better

        Dockerfile:1
        --------------------
           1 | >>> FORM x
             |     ^^^^
           2 |     RUN y
        --------------------
        ERROR: failed to solve: unknown instruction: FORM
        ");
    }
}
