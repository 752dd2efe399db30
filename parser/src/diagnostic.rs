//! What is told to a person about a text: an error or a warning, with the bytes it is about.
//!
//! Plain data that the whole project uses. Rendering is the terminal's business; what failed
//! (`message`), why (`notes`) and what to do (`hint`) stay apart until then.

use crate::{SourceFile, Span};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Worth knowing, nothing is wrong.
    Note,
    /// The build goes on.
    Warning,
    /// The build does not.
    Error,
}

/// Bytes to underline, and what to write beside them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// What to underline.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

/// One message about one source file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the lint rule, such as `StageNameCasing`; `None` for errors of the grammar.
    pub code: Option<&'static str>,
    /// What is wrong, in one line.
    pub message: String,
    /// The first label is the place of the fault, others explain. Empty: the file as a whole.
    pub labels: Vec<Label>,
    /// The whole instruction that it belongs to, for output that shows lines and not bytes.
    pub context: Option<Span>,
    /// Why; one line each.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    #[must_use]
    pub fn error(message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Error, message, Some(span))
    }

    /// An error of the file as a whole.
    #[must_use]
    pub fn error_in_file(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message, None)
    }

    /// A warning of the rule `code` at `span`.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self { code: Some(code), ..Self::new(Severity::Warning, message, Some(span)) }
    }

    fn new(severity: Severity, message: impl Into<String>, span: Option<Span>) -> Self {
        Self {
            severity,
            code: None,
            message: message.into(),
            labels: span.map(|span| Label { span, text: String::new() }).into_iter().collect(),
            context: None,
            notes: Vec::new(),
            hint: None,
        }
    }

    /// Says what to write beside the place of the fault.
    #[must_use]
    pub fn with_label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds another place that explains the fault.
    #[must_use]
    pub fn and_label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which instruction it belongs to, unless that is known already.
    #[must_use]
    pub fn within(mut self, instruction: Span) -> Self {
        self.context.get_or_insert(instruction);
        self
    }

    /// Where the fault is.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// First and last line (from 1) to show: those of the instruction, else of the fault.
    #[must_use]
    pub fn lines(&self, source: &SourceFile) -> Option<(usize, usize)> {
        self.context.or_else(|| self.span()).map(|span| source.line_range(span))
    }

    /// Whether a build must not go on.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
