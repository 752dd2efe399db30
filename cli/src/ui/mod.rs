//! Everything that a person or a script reads: results on stdout, the rest on stderr.
//!
//! | file | owns |
//! |---|---|
//! | `failure` | what a command ends with when it fails, and how it is printed |
//! | `bars` | lines on a terminal for what moves |
//! | `diff` | what differs between two texts |
//! | `excerpt` | pieces of a Dockerfile beside what is said about them |
//! | `listing` | lists: `--format`, `-q`, tables, JSON lines |
//! | `template` | the Go templates that `--format` takes |
//! | `table` | docker's columns |
//! | `filter` | `--filter key=value` |
//! | `github` | what GitHub's runner understands of a log |
//! | `human` | sizes and times as people read and write them |
//! | `prompt` | questions to whoever sits at the terminal |

pub(crate) mod bars;
pub(crate) mod diff;
pub(crate) mod excerpt;
mod failure;
pub(crate) mod filter;
pub(crate) mod github;
pub(crate) mod human;
pub(crate) mod listing;
pub(crate) mod prompt;
pub(crate) mod table;
mod template;

pub(crate) use failure::Failure;

use std::io::{self, Write};

/// The two streams of a command, and what may be done to them.
///
/// Results go to stdout through [`Ui::line`] and [`Ui::write`]; everything else goes to stderr. A
/// closed stdout is an error of its own kind that ends the command quietly
/// ([`Failure::broken_pipe`]); a closed stderr is nobody's business and is passed over.
#[derive(Debug)]
pub(crate) struct Ui {
    out: io::Stdout,
    err: io::Stderr,
}

impl Ui {
    /// Takes the process's own streams.
    pub(crate) fn new() -> Self {
        Self { out: io::stdout(), err: io::stderr() }
    }

    /// Writes one line of the result.
    pub(crate) fn line(&self, line: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out.lock(), "{line}")
    }

    /// Writes text to stdout in one go.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Says something that isn't the result.
    pub(crate) fn note(&self, line: impl std::fmt::Display) {
        // Nobody reads stderr any more: then there is nobody to tell that, either.
        let _ = writeln!(self.err.lock(), "{line}");
    }
}
