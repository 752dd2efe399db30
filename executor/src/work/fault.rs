//! [`Fault`]: what can go wrong while an operation is carried out, before it becomes a step's
//! error with a hint.

use std::io;

use gantry_cache::StoreError;
use gantry_image::layer::LayerError;
use gantry_sandbox::{NetworkError, SpawnError};
use gantry_solver::StepError;
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
    Select(#[from] SelectError),
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
            Fault::Refused { hint: Some(hint), .. } => {
                let hint = hint.clone();
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
                StepError::new(fault).with_hint("Free some space with `gantry prune`")
            }
            _ => StepError::new(fault),
        }
    }
}
