//! Everything that a person or a script reads: results on stdout, the rest on stderr.
//!
//! | file | owns |
//! |---|---|
//! | `failure` | what a command ends with when it fails: the error, whose it is, the exit code |

mod failure;

pub(crate) use failure::Failure;

use std::io::{self, Write};

/// The two streams of a command, and what may be done to them.
///
/// Results go to stdout through [`Ui::out`] and its kin; everything else goes to stderr. A closed
/// stdout is an error of its own kind that ends the command quietly ([`Failure::broken_pipe`]); a
/// closed stderr is nobody's business and is passed over.
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

    /// Says something that isn't the result.
    pub(crate) fn note(&self, line: impl std::fmt::Display) {
        // Nobody reads stderr any more: then there is nobody to tell that, either.
        let _ = writeln!(self.err.lock(), "{line}");
    }
}
