//! FROM, ARG, and the instructions that only change the image's config.

use std::time::Duration;

use crate::ast::{CommandLine, Statement};
use crate::{Spanned, Word};

/// `FROM [--platform=p] image [AS name]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct From {
    /// `--platform`; unexpanded, global ARGs apply.
    pub platform: Option<Word>,
    /// An image, an earlier stage, a named context, or `scratch`; unexpanded.
    pub image: Word,
    /// The word `AS` as written.
    pub as_keyword: Option<Word>,
    /// The stage's name as written; valid, but its case is the author's.
    pub name: Option<Word>,
    /// The text of a comment `# <stage name> text` above (B2-10).
    pub description: Option<String>,
}

impl From {
    /// The stage's name in lower case, as it is looked up.
    #[must_use]
    pub fn stage_name(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.text.to_lowercase())
    }
}

/// `ARG name[=default] …`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// At least one.
    pub definitions: Vec<ArgDefinition>,
}

/// One name of an ARG instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArgDefinition {
    /// Not empty; unexpanded.
    pub name: Word,
    /// What follows `=`; `ARG x=` gives an empty word. Unexpanded.
    pub default: Option<Word>,
    /// The text of a comment `# <name> text` above (B2-10).
    pub description: Option<String>,
}

/// How a key and its value were written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyValueForm {
    /// `key=value`.
    Equals,
    /// `key value`: one pair, the value is the rest of the line.
    Legacy,
}

/// A pair of ENV or LABEL; both words unexpanded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyValue {
    /// Not empty.
    pub key: Word,
    /// May be empty.
    pub value: Word,
    /// How it was written.
    pub form: KeyValueForm,
}

/// `ENV k=v …` or `ENV k v`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Env {
    /// At least one.
    pub pairs: Vec<KeyValue>,
}

/// `LABEL k=v …` or `LABEL k v`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// At least one.
    pub pairs: Vec<KeyValue>,
}

/// `WORKDIR path`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workdir {
    /// Unexpanded; spaces are part of it.
    pub path: Word,
}

/// `USER user[:group]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Unexpanded.
    pub user: Word,
}

/// `CMD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cmd {
    /// The command; never expanded.
    pub command: CommandLine,
}

/// `ENTRYPOINT`; an [empty](CommandLine::is_empty) command clears it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entrypoint {
    /// The command; never expanded.
    pub command: CommandLine,
}

/// `SHELL ["…"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shell {
    /// At least one.
    pub argv: Vec<Word>,
}

/// `EXPOSE port …`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expose {
    /// Unexpanded. After expansion each may hold several ports: split and read them with
    /// [`port::parse_all`](crate::port::parse_all).
    pub ports: Vec<Word>,
}

/// `VOLUME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// At least one; unexpanded.
    pub paths: Vec<Word>,
}

/// `STOPSIGNAL`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopsignal {
    /// Unexpanded; read it with [`signal::parse`](crate::signal::parse) afterwards.
    pub signal: Word,
}

/// `HEALTHCHECK`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Healthcheck {
    /// `NONE`: the base image's check is switched off.
    None,
    /// `[flags] CMD command`.
    Check(Health),
}

/// A health check; what is `None` was not given and has the runtime's default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// The probe; never expanded, not empty.
    pub command: CommandLine,
    /// `--interval`.
    pub interval: Option<Spanned<Duration>>,
    /// `--timeout`.
    pub timeout: Option<Spanned<Duration>>,
    /// `--start-period`.
    pub start_period: Option<Spanned<Duration>>,
    /// `--start-interval`.
    pub start_interval: Option<Spanned<Duration>>,
    /// `--retries`.
    pub retries: Option<Spanned<u32>>,
}

impl Health {
    /// The test as the image config holds it: `["CMD", …]` or `["CMD-SHELL", text]`.
    #[must_use]
    pub fn test(&self) -> Vec<String> {
        let (kind, argv) = match &self.command {
            CommandLine::Exec(argv) => ("CMD", argv.as_slice()),
            CommandLine::Shell(text) => ("CMD-SHELL", std::slice::from_ref(text)),
        };
        std::iter::once(kind.to_owned()).chain(argv.iter().map(|w| w.text.clone())).collect()
    }
}

/// `ONBUILD instruction`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Onbuild {
    /// What `Config.OnBuild` stores: the text of the trigger, here-documents included.
    pub expression: String,
    /// The trigger, parsed.
    pub trigger: Box<Statement>,
}

/// `MAINTAINER name`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Maintainer {
    /// Never expanded.
    pub name: Word,
}
