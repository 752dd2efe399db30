//! Why a build has no result, sorted by who can do something about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use gantry_cache::StoreError;
use gantry_parser::{Diagnostic, SourceFile, Span};
use gantry_solver::StepError;

use crate::export::ExportError;
use crate::work::{MAKE_SPACE, is_bug, is_out_of_memory};

/// A build has no result. The store is as it was, but for steps that succeeded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The Dockerfile can't be built as it is written.
    #[error("{0}")]
    Dockerfile(DockerfileError),
    /// Steps failed.
    #[error("{0}")]
    Steps(StepFailures),
    /// The build was canceled from outside.
    #[error("The build was canceled")]
    Canceled,
    /// Something has to run, and this process may not mount: call again after
    /// [`gantry_sandbox::reexec_in_user_namespace`]. Nothing was executed, and no event was told.
    #[error("Steps have to run, which this user can do in a user namespace only")]
    NeedsUserNamespace,
    /// A context can't be used.
    #[error("{0}")]
    Context(#[from] ContextError),
    /// An output could not be written. The build itself is in the cache.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The layers could not be made one.
    #[error("Failed to squash the image")]
    Squash(#[source] StepError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request asks for something that gantry does not do.
    #[error("{what}")]
    Unsupported {
        /// What is asked for.
        what: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The async runtime could not be made.
    #[error("Failed to start the scheduler")]
    Runtime(#[source] io::Error),
}

/// Whose failure it was, by which programs tell exit codes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A step's, the Dockerfile's, or that of whatever was asked for.
    Failure,
    /// The host ran out of something: space on the disk, memory.
    Exhausted,
    /// gantry's own.
    Internal,
    /// Nobody's: it was canceled.
    Canceled,
}

impl BuildError {
    /// Returns whose failure it was.
    pub fn class(&self) -> Class {
        match self {
            Self::Canceled => Class::Canceled,
            Self::Runtime(_) => Class::Internal,
            Self::Steps(failures) => {
                failures.steps.first().map_or(Class::Failure, |step| class_of(&step.error))
            }
            Self::Squash(error) => class_of(error),
            Self::Store(error) if error.is_full() => Class::Exhausted,
            error if is_exhausted(error) => Class::Exhausted,
            _ => Class::Failure,
        }
    }

    /// Whether nothing failed, but the build ended early.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, Self::Canceled | Self::NeedsUserNamespace)
    }

    /// Returns what the user can do about it, where that does not stand at a place in the
    /// Dockerfile.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Steps(failures) => failures.steps.first().and_then(|step| step.error.hint()),
            Self::Context(error) => error.hint(),
            Self::Export(error) => error.hint(),
            Self::Unsupported { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

/// A Dockerfile with what is wrong in it.
#[derive(Debug)]
pub struct DockerfileError {
    /// The file.
    pub source: SourceFile,
    /// What is wrong, and warnings that were found by then.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for DockerfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.diagnostics.iter().find(|diagnostic| diagnostic.is_error()) {
            Some(first) => f.write_str(&first.message),
            None => write!(f, "`{}` can't be built", self.source.name()),
        }
    }
}

/// Steps that failed, the first one first.
#[derive(Debug)]
pub struct StepFailures {
    /// The Dockerfile.
    pub source: SourceFile,
    /// At least one.
    pub steps: Vec<StepFailure>,
    /// What of the Dockerfile was warned of.
    pub warnings: Vec<Diagnostic>,
}

/// One step that failed.
#[derive(Debug)]
pub struct StepFailure {
    /// Its title, such as `[2/3] RUN make`.
    pub title: String,
    /// The instruction.
    pub span: Option<Span>,
    /// What of it is at fault, where that is known.
    pub place: Option<Span>,
    /// Why.
    pub error: StepError,
}

impl fmt::Display for StepFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.steps.first() {
            // The title is what people recognise; the reason is what they need.
            Some(step) => write!(f, "{}", step.error),
            None => f.write_str("The build failed"),
        }
    }
}

/// A build context can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It can't be opened.
    #[error("Failed to open the build context `{}`", .path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: gantry_tree::TreeError,
    },
    /// There is no Dockerfile where it should be.
    #[error("failed to read dockerfile: open {path}: no such file or directory")]
    NoDockerfile {
        /// Its path in the context.
        path: String,
        /// A file that may be meant.
        similar: Option<String>,
    },
    /// A file of it that says how to build can't be read.
    #[error("Failed to read `{path}` of the build context")]
    Read {
        /// Its path in the context.
        path: String,
        /// Why.
        #[source]
        source: gantry_tree::TreeError,
    },
    /// A file of it that says how to build has more than 16 MiB.
    #[error("`{path}` of the build context is too large to be what it is named")]
    TooLarge {
        /// Its path in the context.
        path: String,
    },
    /// A pattern of the ignore file can't be understood.
    #[error("Failed to read line {line} of `{path}`")]
    Ignore {
        /// The ignore file.
        path: String,
        /// Which line.
        line: usize,
        /// Why.
        #[source]
        source: gantry_parser::ignore::IgnoreError,
    },
    /// A context or a Dockerfile that lies elsewhere can't be had.
    #[error("Failed to load `{address}`")]
    Fetch {
        /// Its address, without a password.
        address: String,
        /// Why.
        #[source]
        source: StepError,
    },
    /// A dry run can't read what it has to compare.
    #[error(transparent)]
    Plan(StepError),
    /// A tar that was to be the context is none.
    #[error("Failed to read the build context from a tar")]
    Tar(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ContextError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NoDockerfile { .. } => Some("Name the file with `-f`"),
            Self::Fetch { source, .. } | Self::Plan(source) => source.hint(),
            _ => None,
        }
    }
}

/// Whose failure a step's is.
fn class_of(error: &StepError) -> Class {
    if is_bug(error) {
        Class::Internal
    } else if error.hint() == Some(MAKE_SPACE) || is_out_of_memory(error) || is_exhausted(error) {
        Class::Exhausted
    } else {
        Class::Failure
    }
}

/// Looks for a full disk, a full quota or too little memory anywhere in a chain of causes.
fn is_exhausted(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let full = error.downcast_ref::<StoreError>().is_some_and(StoreError::is_full);
        full || matches!(
            kind,
            Some(
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::OutOfMemory
            )
        )
    })
}
