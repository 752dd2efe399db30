//! RUN and its flags.

use crate::ast::{CommandLine, Heredoc, Script};
use crate::mount::Mount;
use crate::{Spanned, Word};

/// `RUN [flags] command`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// `--mount`, in order.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: Option<Spanned<Network>>,
    /// `--security`.
    pub security: Option<Spanned<Security>>,
    /// `--device`, in order.
    pub devices: Vec<Device>,
    /// What to run.
    pub command: CommandLine,
    /// The here-documents of the line, in order.
    pub heredocs: Vec<Heredoc>,
}

impl Run {
    /// What is really run (B8-05..07).
    ///
    /// A line that is nothing but one here-document runs its body; every other mixture is put
    /// together again for the shell to make sense of.
    #[must_use]
    pub fn script(&self) -> Script {
        let line = match &self.command {
            CommandLine::Exec(argv) => {
                return Script::Exec(argv.iter().map(|word| word.text.clone()).collect());
            }
            CommandLine::Shell(line) => &line.text,
        };
        let Some(first) = self.heredocs.first() else { return Script::Shell(line.clone()) };
        if crate::heredoc::parse_word(line).is_some() {
            if first.raw.starts_with("#!") {
                return Script::File { name: first.name.text.clone(), content: first.content() };
            }
            return Script::Shell(first.content());
        }
        let mut text = line.clone();
        for heredoc in &self.heredocs {
            text.push('\n');
            text.push_str(&heredoc.raw);
            text.push_str(&heredoc.name.text);
        }
        Script::Shell(text)
    }
}

/// Which network a step sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Network {
    /// What the build says.
    Default,
    /// Only `lo`.
    None,
    /// The host's; needs the entitlement `network.host`.
    Host,
}

/// How a step is confined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Security {
    /// As always.
    Sandbox,
    /// With all capabilities; needs the entitlement `security.insecure`.
    Insecure,
}

/// `--device=name[,required]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// A CDI name such as `vendor.com/gpu=0`, or a class; not expanded.
    pub name: Word,
    /// The build fails if it is absent.
    pub required: bool,
}
