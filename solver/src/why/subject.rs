//! What a difference is about, and how it is said in a few words.

use std::fmt;

use crate::key::{Change, Difference};

/// What differs, in the words of a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A file that the step takes from the context or from another stage.
    File {
        /// Its path.
        path: &'a str,
        /// What of it; `None` for all of it.
        part: Option<&'a str>,
    },
    /// A variable that ENV or the base image sets.
    Env(&'a str),
    /// A variable that an ARG sets.
    Arg(&'a str),
    /// The image that is built upon.
    BaseImage,
    /// The step that is built upon.
    Base,
    /// Something else that the step takes files from.
    Input(&'a str),
    /// The command, or the script of a heredoc.
    Command,
    /// What a COPY or ADD names as its sources.
    Sources {
        /// What of one of them, such as its path, or the text of a heredoc; `None` if there are
        /// more of them than before, or fewer.
        part: Option<&'a str>,
    },
    /// A mount, by its target.
    Mount(&'a str),
    /// Anything else.
    Option(&'a str),
}

impl Subject<'_> {
    /// The word for what it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::File { .. } => "file",
            Subject::Env(_) => "env",
            Subject::Arg(_) => "arg",
            Subject::BaseImage => "base-image",
            Subject::Base => "parent",
            Subject::Input(_) => "input",
            Subject::Command => "command",
            Subject::Sources { .. } => "sources",
            Subject::Mount(_) => "mount",
            Subject::Option(_) => "option",
        }
    }
}

impl Difference {
    /// Says what it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["env", name] => Subject::Env(name),
            ["arg", name] => Subject::Arg(name),
            ["input", _, "content", file] => Subject::File { path: file, part: None },
            ["input", _, "content", file, part, ..] => {
                Subject::File { path: file, part: Some(part) }
            }
            ["input", "base"] | ["input", "base", "key"] => Subject::Base,
            ["input", "base", ..] => Subject::BaseImage,
            ["input", role, ..] => Subject::Input(role),
            ["args" | "script", ..] => Subject::Command,
            ["items", _, part, ..] => Subject::Sources { part: Some(part) },
            ["items", ..] => Subject::Sources { part: None },
            ["mounts", target, ..] => Subject::Mount(target),
            [name, ..] => Subject::Option(name),
            [] => Subject::Option(""),
        }
    }
}

impl fmt::Display for Difference {
    /// A few words, without values: `` `src/main.rs` changed ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match &self.change {
            Change::Added(_) => "was added",
            Change::Removed(_) => "was removed",
            Change::Changed { .. } => "changed",
        };
        let step = self.step.as_deref().and_then(|step| step.lines().next()).unwrap_or_default();
        match self.subject() {
            Subject::File { path, part: None | Some("content") } => write!(f, "`{path}` {verb}"),
            Subject::File { path, part: Some("uid" | "gid") } => {
                write!(f, "owner of `{path}` changed")
            }
            Subject::File { path, part: Some(part) } => match &self.change {
                Change::Changed { old, new } => {
                    write!(f, "{part} of `{path}` changed from {old} to {new}")
                }
                _ => write!(f, "{part} of `{path}` changed"),
            },
            Subject::Env(name) => write!(f, "variable `{name}` {verb}"),
            Subject::Arg(name) => write!(f, "ARG `{name}` {verb}"),
            Subject::BaseImage if step.is_empty() => f.write_str("the base image changed"),
            Subject::BaseImage => write!(f, "the base image of `{step}` changed"),
            Subject::Base if step.is_empty() => f.write_str("the step before it changed"),
            Subject::Base => write!(f, "`{step}` before it changed"),
            Subject::Input(role) if step.is_empty() => write!(f, "{role} {verb}"),
            Subject::Input(_) => write!(f, "what it takes from `{step}` {verb}"),
            Subject::Command => f.write_str("the command changed"),
            Subject::Sources { part: Some("content") } => f.write_str("the heredoc changed"),
            Subject::Sources { .. } => f.write_str("what it names to be copied changed"),
            Subject::Mount(target) => write!(f, "mount `{target}` {verb}"),
            Subject::Option(name) => write!(f, "`{name}` {verb}"),
        }
    }
}
