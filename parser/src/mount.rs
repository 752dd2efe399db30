//! `RUN --mount=…`: its fields as written, and their meaning once variables are known (B5).
//!
//! Texts of errors are BuildKit's. The grammar evaluates a mount that holds no variable at once,
//! so that mistakes in it are found before anything is built.

mod evaluate;
mod fields;

use crate::{Span, Word};

pub(crate) use fields::csv;

/// A `--mount` flag as written: comma-separated fields, CSV-quoted, variables in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// All of the flag's value.
    pub text: Word,
    /// The fields in order.
    pub fields: Vec<Field>,
}

/// One field, `key` or `key=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// In lower case.
    pub key: String,
    /// Unexpanded.
    pub value: Option<Word>,
    /// The field as written (CSV quotes gone).
    pub text: Word,
}

impl Mount {
    /// Splits the value of a flag into fields.
    ///
    /// # Errors
    /// Text that is no CSV record, and a `from` with a variable in it.
    pub fn parse(text: &Word) -> Result<Self, Invalid> {
        fields::parse(text)
    }

    /// The value of `from`, which never holds variables; needed to find out which stages a RUN
    /// depends on before anything is expanded.
    #[must_use]
    pub fn from(&self) -> Option<&Word> {
        self.fields.iter().rev().find(|f| f.key == "from").and_then(|f| f.value.as_ref())
    }

    /// Whether some value might change when it is expanded.
    #[must_use]
    pub fn may_expand(&self) -> bool {
        self.fields.iter().filter_map(|f| f.value.as_ref()).any(Word::may_expand)
    }

    /// Expands every value with `expand` and says what the mount is.
    ///
    /// # Errors
    /// The first field that makes no sense, or what `expand` failed with.
    pub fn evaluate<E>(
        &self,
        expand: impl FnMut(&Word) -> Result<String, E>,
    ) -> Result<MountSpec, MountError<E>> {
        evaluate::evaluate(self, expand)
    }
}

/// Why a mount cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError<E> {
    /// Expansion of a value failed.
    #[error("{0}")]
    Expand(E),
    /// The field, or the mount as a whole, makes no sense.
    #[error("{0}")]
    Invalid(Invalid),
}

/// What is wrong with a mount, in BuildKit's words, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// BuildKit's text.
    pub message: String,
    /// The field, or the whole flag.
    pub span: Span,
    /// What to do about it.
    pub hint: String,
}

/// What kind of mount it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MountKind {
    /// A path of the context, a stage or an image.
    #[default]
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A file (or variable) with a secret.
    Secret,
    /// A socket of an ssh agent.
    Ssh,
}

impl MountKind {
    /// All kinds with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("tmpfs", Self::Tmpfs),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
    ];

    /// The name, as after `type=`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// How a cache mount is shared between steps that run at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sharing {
    /// All write at once.
    Shared,
    /// Each gets its own.
    Private,
    /// One after the other.
    Locked,
}

impl Sharing {
    /// All ways with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("shared", Self::Shared), ("private", Self::Private), ("locked", Self::Locked)];
}

/// An evaluated mount; what was not given is `None`, and defaults that need the stage (WORKDIR,
/// the secret's target) are the caller's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MountSpec {
    /// `type`.
    pub kind: MountKind,
    /// `from`.
    pub from: Option<String>,
    /// `source`, `src`.
    pub source: Option<String>,
    /// `target`, `dst`, `destination`; may be relative to WORKDIR.
    pub target: Option<String>,
    /// Whether writing is refused: as said, else true for bind, secret and ssh.
    pub read_only: bool,
    /// `id`.
    pub id: Option<String>,
    /// `sharing`; cache only.
    pub sharing: Option<Sharing>,
    /// `required`; secret and ssh only.
    pub required: bool,
    /// `size` in bytes; tmpfs only.
    pub size: Option<u64>,
    /// `env`: name of a variable that gets the secret; secret only.
    pub env: Option<String>,
    /// `mode`; secret, ssh, cache.
    pub mode: Option<u32>,
    /// `uid`; secret, ssh, cache.
    pub uid: Option<u32>,
    /// `gid`; secret, ssh, cache.
    pub gid: Option<u32>,
}
