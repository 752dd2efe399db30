//! [`Fault`]: what can go wrong while an operation is carried out, before it becomes a step's
//! error with a hint.

use std::io;

use gantry_cache::StoreError;
use gantry_image::layer::LayerError;
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
    Refused { message: String, hint: Option<String> },
    /// The process of a `RUN` ended with something else than 0.
    #[error("process \"{command}\" did not complete successfully: {how}")]
    Process { command: String, how: String, code: i32, hint: Option<String> },
    #[error("Canceled")]
    Canceled,
}

/// What to do about a full disk, in the store's own words.
const MAKE_SPACE: &str = "Run `gantry prune` to free space";

/// A reason that is known by its words alone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Because(pub(crate) String);

impl From<SelectError> for Fault {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::NotFound { .. } => {
                Self::Missing { missing: error, cause: None, hint: None }
            }
            error => Self::Select(error),
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
    /// Says that the operation can't be done as asked.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: None }
    }

    /// The same, with what the user can do about it.
    pub(crate) fn refused_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: Some(hint.into()) }
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
            Fault::Refused { hint: Some(hint), .. } | Fault::Missing { hint: Some(hint), .. } => {
                let hint = hint.clone();
                StepError::new(fault).with_hint(hint)
            }
            Fault::Program { hint: Some(hint), .. } => {
                let hint = *hint;
                StepError::new(fault).with_hint(hint)
            }
            Fault::Process { code, hint, .. } => {
                let (code, hint) = (*code, hint.clone());
                let error = StepError::new(fault).with_exit_code(code);
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            Fault::Spawn(spawn) => {
                let code = spawn.exit_code();
                StepError::new(fault).with_exit_code(code)
            }
            Fault::Tree(TreeError::Changed { .. }) => StepError::new(fault)
                .with_hint("Build again once nothing writes into the build context"),
            Fault::Tree(error) if error.is_no_space() => {
                StepError::new(fault).with_hint(MAKE_SPACE)
            }
            Fault::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
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
