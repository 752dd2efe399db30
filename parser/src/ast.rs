//! The instructions of a Dockerfile, typed, with spans, and with every variable still in place.
//!
//! A [`Dockerfile`] is a list of [`Statement`]s in the order of the file. What is in it is well
//! formed; what was not is missing here and told by a diagnostic. [`Dockerfile::layout`] groups
//! the statements into global ARGs and stages.

mod command;
mod config;
mod dockerfile;
mod run;
mod transfer;

pub use command::{CommandLine, Heredoc, Script};
pub use config::{
    Arg, ArgDefinition, Cmd, Entrypoint, Env, Expose, From, Health, Healthcheck, KeyValue,
    KeyValueForm, Label, Maintainer, Onbuild, Shell, Stopsignal, User, Volume, Workdir,
};
pub use dockerfile::{CheckOptions, Directives, Dockerfile, Layout, Rules, Stage};
pub use run::{Device, Network, Run, Security};
pub use transfer::{Add, Copy, Source, Transfer};

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::{Span, Word};

/// One instruction of the file with all that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// The keyword as written; its case is the author's.
    pub keyword: Keyword,
    /// From the keyword to the end of the last line, here-documents included.
    pub span: Span,
    /// Keyword, flags and arguments as one line: continuations joined, comments gone, bodies of
    /// here-documents not in it. What progress and history show.
    pub text: Arc<str>,
    /// All flags in the order of the file, as written.
    pub flags: Vec<FlagUse>,
    /// Comment lines right above, without `#` and outer spaces; a comment without text or a
    /// blank line in between starts anew.
    pub comments: Vec<Word>,
    /// The options of `# check=` comments right above, for this instruction alone (B2-09).
    pub check: Option<CheckOptions>,
    /// Blank lines between its lines; legal, but they will not be for ever.
    pub blank_lines: Vec<Span>,
    /// The typed instruction.
    pub instruction: Instruction,
}

/// The keyword of an instruction, in the author's case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyword {
    /// The keyword.
    pub text: Cow<'static, str>,
    /// Where it stands.
    pub span: Span,
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A flag as written, `--name` or `--name=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlagUse {
    /// The name without dashes.
    pub name: Word,
    /// What follows the `=`, if there is one.
    pub value: Option<Word>,
    /// All of it, dashes included.
    pub span: Span,
}

/// A flag that is on or off, as written: `--link` or `--link=false`.
pub type Switch = crate::Spanned<bool>;

/// All instructions there are.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each variant is the instruction of its name")]
pub enum Instruction {
    From(From),
    Arg(Arg),
    Run(Run),
    Copy(Copy),
    Add(Add),
    Env(Env),
    Workdir(Workdir),
    User(User),
    Cmd(Cmd),
    Entrypoint(Entrypoint),
    Shell(Shell),
    Label(Label),
    Expose(Expose),
    Volume(Volume),
    Stopsignal(Stopsignal),
    Healthcheck(Healthcheck),
    Onbuild(Onbuild),
    Maintainer(Maintainer),
}

impl Instruction {
    /// The keyword in upper case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::From(_) => "FROM",
            Self::Arg(_) => "ARG",
            Self::Run(_) => "RUN",
            Self::Copy(_) => "COPY",
            Self::Add(_) => "ADD",
            Self::Env(_) => "ENV",
            Self::Workdir(_) => "WORKDIR",
            Self::User(_) => "USER",
            Self::Cmd(_) => "CMD",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Shell(_) => "SHELL",
            Self::Label(_) => "LABEL",
            Self::Expose(_) => "EXPOSE",
            Self::Volume(_) => "VOLUME",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Onbuild(_) => "ONBUILD",
            Self::Maintainer(_) => "MAINTAINER",
        }
    }
}
