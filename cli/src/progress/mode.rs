//! `--progress`, `BUILDKIT_PROGRESS`, and what `auto` comes to.

use std::io::IsTerminal as _;

use clap::ValueEnum as _;

/// How a build is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// `tty` if stderr is a terminal, else `plain`.
    Auto,
    /// Nothing, not even the last lines of a failed step.
    None,
    /// Blocks of lines, each with its step's number.
    Plain,
    /// Nothing while it goes well.
    Quiet,
    /// BuildKit's status messages as JSON lines.
    Rawjson,
    /// The form of docker's classic builder.
    Steps,
    /// A tree that is redrawn.
    Tty,
}

impl Mode {
    /// What `BUILDKIT_PROGRESS` asks for; [`Auto`](Self::Auto) if it isn't set.
    ///
    /// # Errors
    /// In BuildKit's words, if there is no such mode.
    pub(crate) fn of_environment() -> Result<Self, String> {
        match std::env::var("BUILDKIT_PROGRESS") {
            Ok(name) if !name.is_empty() => {
                Self::from_str(&name, false).map_err(|_| format!("invalid progress mode {name}"))
            }
            _ => Ok(Self::Auto),
        }
    }

    /// The mode with `auto` decided.
    pub(crate) fn resolved(self) -> Self {
        match self {
            Self::Auto if is_live_terminal() => Self::Tty,
            Self::Auto => Self::Plain,
            mode => mode,
        }
    }
}

/// Whether stderr is a terminal on which a cursor can be moved.
fn is_live_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
