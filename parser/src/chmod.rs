//! `--chmod` of COPY and ADD: octal or symbolic (B6-12).

/// A mode to set, or changes to make to the mode that a file has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chmod {
    /// These bits, 0 to 07777.
    Absolute(u32),
    /// `u=rwX,go=rX`: applied from left to right.
    Symbolic(Vec<Change>),
}

/// One clause of a symbolic mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Bits of 0o700, 0o070, 0o007: who is meant.
    pub who: u32,
    /// `+`, `-` or `=`.
    pub op: Op,
    /// rwx bits for `who` (as 0o777 & mask) plus set-id and sticky bits.
    pub bits: u32,
    /// `X`: execute, for directories and what is executable for somebody already.
    pub conditional_x: bool,
}

/// What a clause does with its bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as chmod(1) has them")]
pub enum Op {
    Add,
    Remove,
    Set,
}

/// Why a text is no mode. Displays as BuildKit says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
pub struct ChmodError(pub String);

/// Reads an expanded `--chmod` value.
///
/// # Errors
/// Neither octal up to 07777 nor symbolic.
pub fn parse(_text: &str) -> Result<Chmod, ChmodError> {
    todo!()
}

impl Chmod {
    /// The mode that a file with `mode` (07777 bits) gets.
    #[must_use]
    pub fn apply(&self, _mode: u32, _is_dir: bool) -> u32 {
        todo!()
    }
}
