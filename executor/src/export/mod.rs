//! Outputs: what becomes of a solved build.
//!
//! ```text
//! recipe    what an image is made from
//! image     layers + config + history → an image in the store, the same one for the same build
//! layers    the tar of a layer as a stream to be read
//! archive   docker archives and OCI layouts
//! rootfs    the root filesystem, as a directory or a tar
//! dest      where a file goes, and how it appears there whole or not at all
//! ```

mod archive;
mod dest;
mod image;
mod layers;
mod recipe;
mod rootfs;

use std::error::Error;
use std::io;
use std::path::PathBuf;

use gantry_cache::StoreError;
use gantry_image::archive::ArchiveError;
use gantry_image::layer::LayerError;
use gantry_tree::TreeError;

pub(crate) use self::image::{Assembled, find_or_make};
pub(crate) use self::recipe::Recipe;

use self::dest::Target;
use crate::request::{Dest, Output};
use crate::work::Executor;

/// An output could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A directory is wanted, and there is a file.
    #[error("destination directory {} is a file", .path.display())]
    IsFile {
        /// Its path.
        path: PathBuf,
    },
    /// A file is wanted, and there is a directory.
    #[error("destination file {} is a directory", .path.display())]
    IsDirectory {
        /// Its path.
        path: PathBuf,
    },
    /// An output of this kind does not go there.
    #[error("{0}")]
    Dest(&'static str),
    /// Writing failed.
    #[error("Failed to {what}")]
    Io {
        /// What was being written.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("Failed to write the archive")]
    Archive(#[from] ArchiveError),
    /// A layer could not be turned into a tar.
    #[error("Failed to write a layer as a tar")]
    Layer(#[from] LayerError),
    /// A file of the result could not be read or written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something of the base image makes no sense.
    #[error("Failed to put the image together: {what}")]
    Image {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl ExportError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::IsFile { .. } | Self::IsDirectory { .. } => Some("Name another `dest`"),
            Self::Tree(error) if error.is_no_space() => Some("Free some space on the disk"),
            _ => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Looks at the destinations before anything is built, so that a typing error costs no build.
pub(crate) fn check(outputs: &[Output]) -> Result<(), ExportError> {
    let mut streams = 0;
    for output in outputs {
        match output {
            Output::Store => {}
            Output::Local { dest } => dest::check_directory(dest)?,
            Output::Docker { dest, .. }
            | Output::Tar { dest }
            | Output::Oci { dest, tar: true, .. } => {
                streams += usize::from(matches!(dest, Dest::Writer(_)));
                dest::check_file(dest)?;
            }
            Output::Oci { dest: Dest::Directory(path) | Dest::File(path), .. } => {
                dest::check_directory(path)?;
            }
            Output::Oci { dest: Dest::Writer(_), .. } => {
                return Err(ExportError::Dest("an OCI layout without tar needs a directory"));
            }
        }
    }
    if streams > 1 {
        return Err(ExportError::Dest("multiple outputs configured to write to stdout"));
    }
    Ok(())
}

/// Says whether an output needs an image, and not only the root filesystem.
pub(crate) fn needs_image(output: &Output) -> bool {
    matches!(output, Output::Store | Output::Docker { .. } | Output::Oci { .. })
}

/// Writes one output. Returns where, if it was not the store or a stream.
pub(crate) fn write(
    executor: &Executor,
    output: Output,
    result: &Built<'_>,
) -> Result<Option<PathBuf>, ExportError> {
    match output {
        Output::Store => Ok(None),
        Output::Docker { dest, names } => {
            let mut target = Target::open(dest)?;
            let names = if names.is_empty() { result.names.to_vec() } else { names };
            archive::docker(&executor.store, result.image()?, names, &mut target)?;
            target.finish()
        }
        Output::Oci { dest, tar: true, names } => {
            let mut target = Target::open(dest)?;
            let names = if names.is_empty() { result.names.to_vec() } else { names };
            archive::oci(&executor.store, result.image()?, names, &mut target)?;
            target.finish()
        }
        Output::Oci { dest: Dest::Directory(path) | Dest::File(path), names, .. } => {
            let names = if names.is_empty() { result.names.to_vec() } else { names };
            archive::oci_directory(&executor.store, result.image()?, names, &path)?;
            Ok(Some(path))
        }
        Output::Oci { .. } => Err(ExportError::Dest("an OCI layout without tar needs a directory")),
        Output::Local { dest } => {
            rootfs::local(executor, result.snapshot, &dest)?;
            Ok(Some(dest))
        }
        Output::Tar { dest } => {
            let mut target = Target::open(dest)?;
            rootfs::tar(executor, result.snapshot, result.clamp, &mut target)?;
            target.finish()
        }
    }
}

/// What there is to be written.
pub(crate) struct Built<'a> {
    pub(crate) snapshot: &'a gantry_solver::Snapshot,
    pub(crate) image: Option<&'a Assembled>,
    pub(crate) names: &'a [gantry_image::Reference],
    pub(crate) clamp: Option<i64>,
}

impl Built<'_> {
    fn image(&self) -> Result<&Assembled, ExportError> {
        self.image
            .ok_or_else(|| ExportError::Image { what: "there is none".to_owned(), source: None })
    }
}
