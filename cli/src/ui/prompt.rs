//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead as _, Write as _};

use rustix::termios::{self, LocalModes, OptionalActions};

/// Asks on the terminal; what is typed is shown only if `echo`.
///
/// # Errors
/// The terminal can't be read, or can't be kept from showing it.
pub(crate) fn ask(question: &str, echo: bool) -> io::Result<String> {
    // Before the question: who answers at once must not see it either, nor lose it.
    let _quiet = if echo { None } else { Some(Quiet::new()?) };
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if !echo {
        // The line that the terminal did not show.
        err.write_all(b"\n")?;
    }
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}

/// A terminal that doesn't show what is typed, until this is dropped.
struct Quiet(termios::Termios);

impl Quiet {
    fn new() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
