//! [`Fault`]: what can go wrong while an operation is carried out, before it becomes a step's
//! error with a hint.

use std::io;

use gantry_cache::StoreError;
use gantry_image::layer::{LayerError, PackError};
use gantry_sandbox::{NetworkError, SpawnError};
use gantry_solver::StepError;
use gantry_solver::op::SourcePath;
use gantry_tree::{ManifestError, ResolveError, TreeError};

use super::files::FilesError;
use super::select::SelectError;

/// An operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Failed to fetch what the build cache has")]
    Cache(#[from] gantry_cache::remote::RemoteError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Select(SelectError),
    /// A source path is not there, or an ignore file makes it so.
    #[error("failed to compute cache key: {missing}")]
    Missing {
        missing: SelectError,
        #[source]
        cause: Option<Because>,
        hint: Option<String>,
    },
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The process of a `RUN` could not be started, for what is in its image or Dockerfile.
    #[error("process \"{command}\" did not complete successfully: {}", start(spawn))]
    Start { command: String, spawn: Box<SpawnError> },
    /// A program is for other machines than this one, and nothing emulates them.
    #[error("exec format error: the step is for {wanted}, and this host runs {host}")]
    Foreign {
        wanted: String,
        host: String,
        hint: String,
        #[source]
        source: Box<SpawnError>,
    },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("Failed to download {url}")]
    Download {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A program of the host said no.
    #[error("Failed to {what}")]
    Program {
        what: String,
        #[source]
        cause: Because,
        hint: Option<&'static str>,
    },
    #[error("Failed to {what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    /// Something that the Dockerfile says can't be done here; the text is all there is to say.
    #[error("{message}")]
    Refused { message: String, hint: String },
    /// Something that can't be; a mistake of gantry's own.
    #[error("{0}")]
    Bug(String),
    /// The process of a `RUN` ended with something else than 0.
    #[error("process \"{command}\" did not complete successfully: {how}")]
    Process { command: String, how: String, code: i32, hint: String },
    #[error("Canceled")]
    Canceled,
}

/// How a process ended that took too much memory, in the kernel's words.
pub(super) const OUT_OF_MEMORY: &str = ": cannot allocate memory";

/// What to do about a full disk, in the store's own words.
pub(crate) const MAKE_SPACE: &str = "Run `gantry prune` to free space";

/// What to do about a source path that is not there.
const LOOK_AT_THE_PATH: &str =
    "Paths begin at the root of the context, stage or image that they are copied from";

/// A reason that is known by its words alone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Because(pub(crate) String);

impl From<SelectError> for Fault {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::NotFound { .. } => {
                let hint = Some(LOOK_AT_THE_PATH.to_owned());
                Self::Missing { missing: error, cause: None, hint }
            }
            error => Self::Select(error),
        }
    }
}

/// Says whether a step failed by a mistake of gantry's own.
pub(crate) fn is_bug(error: &StepError) -> bool {
    // A worker that panicked is told of by the solver, in these words.
    matches!(error.inner().downcast_ref(), Some(Fault::Bug(_)))
        || error.to_string().starts_with("The step hit a bug in gantry")
}

/// Says whether the kernel ended a step's process because it took too much memory.
pub(crate) fn is_out_of_memory(error: &StepError) -> bool {
    match error.inner().downcast_ref() {
        Some(Fault::Process { how, .. }) => how.ends_with(OUT_OF_MEMORY),
        _ => false,
    }
}

impl From<PackError> for Fault {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Tree(error) => error.into(),
            PackError::Layer(error) => error.into(),
            other => Self::bug(other.to_string()),
        }
    }
}

/// Returns the source path that a step failed for, if it is not there.
pub(crate) fn missing_source(error: &StepError) -> Option<&SourcePath> {
    match error.inner().downcast_ref()? {
        Fault::Missing { missing: SelectError::NotFound { path }, .. } => Some(path),
        _ => None,
    }
}

impl Fault {
    /// Says that the operation can't be done as asked, and what the user can do about it.
    pub(crate) fn refused_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: hint.into() }
    }

    /// Says that something can't be which is.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::Bug(message.into())
    }

    /// Says what was being done when the kernel said no.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> StepError {
        match &fault {
            Fault::Canceled => StepError::canceled(),
            Fault::Refused { hint, .. } | Fault::Missing { hint: Some(hint), .. } => {
                let hint = hint.clone();
                StepError::new(fault).with_hint(hint)
            }
            Fault::Program { hint: Some(hint), .. } => {
                let hint = *hint;
                StepError::new(fault).with_hint(hint)
            }
            Fault::Process { code, hint, .. } => {
                let (code, hint) = (*code, hint.clone());
                StepError::new(fault).with_exit_code(code).with_hint(hint)
            }
            Fault::Spawn(spawn) => {
                let (code, hint) = (spawn.exit_code(), spawn_hint(spawn));
                let error = StepError::new(fault).with_exit_code(code);
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            Fault::Start { spawn, .. } => {
                let (code, hint) = (spawn.exit_code(), spawn_hint(spawn));
                let error = StepError::new(fault).with_exit_code(code);
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            Fault::Bug(_) => {
                StepError::new(fault).with_hint("Please report it, with the message above")
            }
            Fault::Foreign { hint, source, .. } => {
                let (hint, code) = (hint.clone(), source.exit_code());
                StepError::new(fault).with_hint(hint).with_exit_code(code)
            }
            Fault::Download { .. } => StepError::new(fault)
                .with_hint("Check the address, and that this machine reaches it"),
            Fault::Select(SelectError::BadPattern { .. }) => StepError::new(fault)
                .with_hint("Close the `[`, or write `\\[` for a bracket of the name"),
            Fault::Resolve(ResolveError::NotADirectory(_)) => StepError::new(fault)
                .with_hint("Something on this path is a file; choose another one"),
            Fault::Tree(TreeError::Changed { .. }) => StepError::new(fault)
                .with_hint("Build again once nothing writes into the build context"),
            Fault::Tree(error) if error.is_no_space() => {
                StepError::new(fault).with_hint(MAKE_SPACE)
            }
            Fault::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                StepError::new(fault).with_hint(MAKE_SPACE)
            }
            Fault::Layer(LayerError::Write(source))
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                StepError::new(fault).with_hint(MAKE_SPACE)
            }
            Fault::Store(error) => match error.hint() {
                Some(hint) => StepError::new(fault).with_hint(hint),
                None => StepError::new(fault),
            },
            _ => StepError::new(fault),
        }
    }
}

/// What to do about a process that could not be started.
fn spawn_hint(error: &SpawnError) -> Option<&'static str> {
    Some(match error {
        SpawnError::NotFound { .. } => {
            "Install the program in an earlier step, or write its whole path"
        }
        SpawnError::NotExecutable { .. } => {
            "Make it executable with `chmod +x`; is it for the image's platform?"
        }
        SpawnError::NoInterpreter { .. } => {
            "Install the interpreter or loader that its first bytes name, in an earlier step"
        }
        SpawnError::NoSuchUser(_) => NO_SUCH_USER,
        SpawnError::NoSuchGroup(_) => NO_SUCH_GROUP,
        SpawnError::IdOutOfRange => "Choose a smaller number for USER",
        _ => return None,
    })
}

/// Why a process did not start: with the exit code that a shell would have for it, if any.
fn start(error: &SpawnError) -> String {
    let mut text = match error.exit_code() {
        code @ (126 | 127) => format!("exit code: {code}: {error}"),
        _ => error.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        text.push_str(&format!(": {one}"));
        cause = one.source();
    }
    text
}

/// What to do about a user whom the image does not know.
pub(crate) const NO_SUCH_USER: &str =
    "Make the user in an earlier step, such as `RUN adduser -D NAME`, or give a number";
/// What to do about a group that the image does not know.
pub(crate) const NO_SUCH_GROUP: &str =
    "Make the group in an earlier step, such as `RUN addgroup NAME`, or give a number";
