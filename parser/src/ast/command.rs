//! Command lines (shell or JSON form) and here-documents.

use crate::{Span, Word};

/// What RUN, CMD, ENTRYPOINT and HEALTHCHECK CMD take. Never expanded by the builder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandLine {
    /// Text for the stage's shell; empty if the instruction had no arguments.
    Shell(Word),
    /// A JSON array, already decoded; run without a shell.
    Exec(Vec<Word>),
}

impl CommandLine {
    /// Whether nothing was given: no text, or `[]`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Shell(word) => word.text.is_empty(),
            Self::Exec(argv) => argv.is_empty(),
        }
    }

    /// The argv once `shell` (the stage's SHELL, by default `/bin/sh -c`) is put in front of
    /// the shell form.
    #[must_use]
    pub fn argv<S: AsRef<str>>(&self, shell: &[S]) -> Vec<String> {
        match self {
            Self::Exec(argv) => argv.iter().map(|word| word.text.clone()).collect(),
            Self::Shell(word) => shell
                .iter()
                .map(|part| part.as_ref().to_owned())
                .chain([word.text.clone()])
                .collect(),
        }
    }
}

/// A here-document: `<<WORD` on the line, and the lines that follow up to `WORD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heredoc {
    /// The delimiter without quotes; also the name of the file that COPY and ADD make. Its place
    /// is that of the whole opening, `<<` included.
    pub name: Word,
    /// The number before `<<`; 0 if there is none.
    pub fd: u32,
    /// `<<-`: leading tabs of every line are dropped from the content.
    pub chomp: bool,
    /// No part of the delimiter was quoted, so COPY and ADD expand variables in the content.
    pub expand: bool,
    /// The lines as in the file, each with its line end.
    pub raw: String,
    /// Where these lines stand, without the delimiter's line.
    pub span: Span,
}

impl Heredoc {
    /// The content: [`raw`](Self::raw), without leading tabs if [`chomp`](Self::chomp).
    #[must_use]
    pub fn content(&self) -> String {
        if self.chomp { crate::heredoc::strip_tabs(&self.raw) } else { self.raw.clone() }
    }
}

/// What a RUN instruction runs, after its here-documents have found their place (B8-05..07).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Script {
    /// An argv, no shell.
    Exec(Vec<String>),
    /// Text handed to the stage's shell as one argument.
    Shell(String),
    /// A file `/dev/pipes/<name>`, mode 0755, whose path is what the stage's shell is given: it
    /// begins with `#!`.
    File {
        /// The delimiter of the here-document.
        name: String,
        /// What the file holds.
        content: String,
    },
}
