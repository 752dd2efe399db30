//! What can go wrong with a container, and the exit code that `run` gives for it.

use std::io;

use gantry_cache::StoreError;
use gantry_sandbox::{NetworkError, SpawnError};
use gantry_tree::TreeError;

/// Why a container could not be made or started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Neither the image nor the caller says what to run.
    #[error("no command specified")]
    NoCommand,
    /// The name is taken. Docker's words.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You \
         have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// The name has letters that names may not have. Docker's words.
    #[error("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    BadName {
        /// As given.
        name: String,
    },
    /// No container is called so. Docker's words.
    #[error("No such container: {name}")]
    NoSuchContainer {
        /// As given.
        name: String,
    },
    /// Several containers' IDs begin so.
    #[error("Multiple IDs found with provided prefix: {prefix}")]
    Ambiguous {
        /// As given.
        prefix: String,
    },
    /// It has to be stopped first. Docker's words.
    #[error(
        "cannot remove container \"{name}\": container is running: stop the container before \
         removing or force remove"
    )]
    StillRunning {
        /// As given.
        name: String,
    },
    /// The image's config can't be read.
    #[error("Failed to read the config of image `{image}`")]
    Config {
        /// The image's ID.
        image: String,
        /// Why.
        #[source]
        cause: gantry_image::ParseJsonError,
    },
    /// The source of a bind mount is not there (`--mount`), or can't be made (`-v`).
    #[error("Failed to bind `{path}`")]
    Bind {
        /// The path on the host.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file below `containers/`.
    #[error("Failed to {what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// `container.json` is not what gantry writes.
    #[error("The record of container `{id}` is damaged")]
    Record {
        /// The container.
        id: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// What a container wrote can't be made a layer.
    #[error("Failed to make a layer of what container `{id}` wrote")]
    Layer {
        /// The container.
        id: String,
        /// Why.
        #[source]
        cause: gantry_image::layer::LayerError,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copying fall-back.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The start of the process.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl RunError {
    /// What `run` exits with: 127 if the command isn't there, 126 if it can't be executed, 125
    /// for everything that is not the command's fault.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Spawn(error) => u8::try_from(error.exit_code()).unwrap_or(125),
            _ => 125,
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommand => Some(
                "Name a command after the image, or give the image a CMD or an ENTRYPOINT"
                    .to_owned(),
            ),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>, cause: io::Error) -> Self {
        Self::Io { what: what.into(), cause }
    }
}
