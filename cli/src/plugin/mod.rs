//! gantry under other programs' names: what they would be told, told to gantry.
//!
//! Which program it is says the name that it was started by: a link to gantry called `podman` takes
//! podman's words. Names and words are all that differ. The commands are the same, and what gantry
//! does not offer ends with an error that says so.
//!
//! | file | owns |
//! |---|---|
//! | `docker` | docker's options in front of a command, `docker-buildx`, its metadata |
//! | `podman` | `podman` and `buildah` |
//! | `buildctl` | `buildctl build` |
//! | `words` | a command line taken apart whose flags are known by name only |
//! | `socket` | ending when the docker client goes away |
//! | `engine` | handing an image to a running engine |
//! | `config` | docker's `config.json`, as far as plugins are concerned |
//! | `installed` | the plugin's place in docker's directories |

mod buildctl;
mod config;
mod docker;
pub(crate) mod engine;
pub(crate) mod installed;
mod podman;
mod socket;
mod words;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::privilege;
use crate::ui::{Failure, Ui};

pub(crate) use docker::ClientOptions;

/// The program that gantry was started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Name {
    /// Itself.
    #[default]
    Gantry,
    /// Docker's build plugin.
    DockerBuildx,
    /// The docker client.
    Docker,
    /// Podman.
    Podman,
    /// Buildah.
    Buildah,
    /// BuildKit's client.
    Buildctl,
}

impl Name {
    fn of(program: &OsString) -> Self {
        let name = Path::new(program).file_name().and_then(|name| name.to_str());
        match name.unwrap_or_default() {
            "docker-buildx" => Self::DockerBuildx,
            "docker" => Self::Docker,
            "podman" => Self::Podman,
            "buildah" => Self::Buildah,
            "buildctl" => Self::Buildctl,
            _ => Self::Gantry,
        }
    }
}

/// What the name and the words in front of the command said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Called {
    /// By which name.
    pub(crate) name: Name,
    /// What the docker client was told of engines.
    pub(crate) client: ClientOptions,
}

impl Called {
    /// Whether `build` without a context means the current directory, and `Containerfile` comes
    /// before `Dockerfile` (C2-08).
    pub(crate) fn as_podman(&self) -> bool {
        matches!(self.name, Name::Podman | Name::Buildah)
    }

    /// Whether it was docker that was called.
    pub(crate) fn as_docker(&self) -> bool {
        matches!(self.name, Name::Docker | Name::DockerBuildx)
    }

    /// Whether images are meant for an engine, if one runs.
    pub(crate) fn for_engine(&self) -> bool {
        self.name == Name::DockerBuildx
    }
}

/// What became of the words.
pub(crate) enum Spelled {
    /// They are gantry's now, the program's name first.
    Words(Vec<OsString>, Box<Called>),
    /// All is said.
    Answered(ExitCode),
}

/// Turns what another program would be told into gantry's words.
pub(crate) fn spell(words: Vec<OsString>) -> Spelled {
    let name = words.first().map(Name::of).unwrap_or_default();
    let ui = Ui::new();
    let translated = match name {
        Name::Gantry => return Spelled::Words(words, Box::default()),
        Name::DockerBuildx => {
            if let Some(answer) = docker::metadata(&words) {
                // The client asks before every command. If it went away, nobody is left to tell.
                let _ = ui.write(&answer);
                return Spelled::Answered(ExitCode::SUCCESS);
            }
            if !privilege::is_second_run() {
                // In the second run this comes as a signal from the first.
                socket::interrupt_when_closed();
            }
            docker::plugin(words)
        }
        Name::Docker => docker::client(words),
        Name::Podman => podman::podman(words),
        Name::Buildah => podman::buildah(words),
        Name::Buildctl => buildctl::buildctl(words),
    };
    match translated {
        Ok(translated) => {
            if !privilege::is_second_run() {
                for note in &translated.notes {
                    ui.note(format_args!("WARNING: {note}"));
                }
            }
            let called = Called { name, client: translated.client };
            Spelled::Words(translated.words, Box::new(called))
        }
        Err(failure) => {
            failure.print(&ui);
            Spelled::Answered(ExitCode::from(failure.code()))
        }
    }
}

/// Words of another program as gantry's.
#[derive(Debug, Default)]
struct Translated {
    /// The program's name first.
    words: Vec<OsString>,
    client: ClientOptions,
    /// What has no effect, and is better said to have none.
    notes: Vec<String>,
}

impl Translated {
    fn new() -> Self {
        Self { words: vec!["gantry".into()], ..Self::default() }
    }

    fn ignored(&mut self, flag: &str) {
        self.notes.push(format!("{flag} has no effect and is ignored"));
    }
}

/// Something that the program offers, and gantry doesn't.
fn not_offered(program: &str, command: &str, hint: &str) -> Failure {
    Failure::text(format_args!("gantry does not offer `{program} {command}`")).with_hint(hint)
}
