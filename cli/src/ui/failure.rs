//! What a command ends with when it fails, and the exit code that follows from it.

use std::error::Error;
use std::io;

use super::Ui;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// An error in what was asked for: exit code 1.
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self { error: error.into(), hint: None, code: 1 }
    }

    /// An error known by its text alone.
    pub(crate) fn text(text: impl std::fmt::Display) -> Self {
        Self { error: anyhow::Error::msg(text.to_string()), hint: None, code: 1 }
    }

    /// The same with another exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Adds what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Whether the only thing that failed is that nobody reads stdout any more.
    pub(crate) fn broken_pipe(&self) -> bool {
        self.error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|err| err.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Prints the error, its causes and the hint to stderr.
    pub(crate) fn print(&self, ui: &Ui) {
        ui.note(format_args!("ERROR: {}", self.error));
        for cause in self.error.chain().skip(1) {
            ui.note(format_args!("  caused by: {cause}"));
        }
        if let Some(hint) = &self.hint {
            ui.note(format_args!("hint: {hint}"));
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}
