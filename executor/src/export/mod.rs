//! Outputs: what becomes of a solved build.
//!
//! ```text
//! recipe    what an image is made from
//! assembly  one image, or an index over one for each platform
//! image     layers + config + history → an image in the store, the same one for the same build
//! layers    the tar of a layer as a stream to be read
//! compress  a layer's blob, compressed
//! registry  into a registry
//! archive   docker archives and OCI layouts
//! rootfs    the root filesystem, as a directory or a tar
//! statements  what is said about files, beside them
//! told      how far the writing of a tar has come
//! dest      where a file goes, and how it appears there whole or not at all
//! ```

mod archive;
mod assembly;
pub(crate) mod compress;
mod dest;
mod image;
mod layers;
mod recipe;
mod registry;
pub(crate) mod rootfs;
mod statements;
mod told;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use gantry_cache::StoreError;
use gantry_image::archive::ArchiveError;
use gantry_image::layer::LayerError;
use gantry_image::{Platform, Reference};
use gantry_solver::Snapshot;
use gantry_tree::{TreeError, TreePath};

pub(crate) use self::assembly::{Assembly, Say};
pub(crate) use self::compress::{descriptor as describe_layer, open as open_layer};
pub use self::dest::Target;
pub(crate) use self::image::{Assembled, find_or_make};
pub use self::layers::TarReader;
pub(crate) use self::layers::{ImageLayer, came_as};
pub(crate) use self::recipe::Recipe;
pub(crate) use self::registry::push;

pub(crate) use self::told::Tell;
use self::told::Told;
use crate::attest::Predicate;
use crate::image_options::ImageOptions;
use crate::registry::TransferError;
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
    /// What is asked for can't be.
    #[error("{0}")]
    Refused(String),
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
    /// It could not be pushed.
    #[error("failed to push {name}")]
    Push {
        /// Where to.
        name: String,
        /// Why.
        #[source]
        source: Box<TransferError>,
    },
    /// A cache elsewhere could not be read or written.
    #[error(transparent)]
    Cache(gantry_cache::remote::RemoteError),
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
pub(crate) fn check(outputs: &[Output], indexed: bool) -> Result<(), ExportError> {
    for output in outputs {
        match output {
            Output::Store { .. } | Output::Registry { .. } => {}
            Output::Local { dest, .. } => dest::check_directory(dest)?,
            Output::Docker { .. } if indexed => {
                return Err(ExportError::Dest(
                    "docker exporter does not support exporting manifest lists, use the oci \
                     exporter instead",
                ));
            }
            Output::Docker { dest, .. }
            | Output::Tar { dest, .. }
            | Output::Oci { dest, tar: true, .. } => dest::check_file(dest)?,
            Output::Oci { dest: Dest::Directory(path) | Dest::File(path), .. } => {
                dest::check_directory(path)?;
            }
            Output::Oci { dest: Dest::Writer(_), .. } => {
                return Err(ExportError::Dest("an OCI layout without tar needs a directory"));
            }
        }
        let annotations = options(output).map(|options| &*options.annotations).unwrap_or_default();
        if !indexed && annotations.iter().any(|annotation| annotation.place.is_of_index()) {
            return Err(ExportError::Dest(
                "index annotations not supported for single platform export",
            ));
        }
    }
    if outputs.iter().filter(|output| output.is_stream()).count() > 1 {
        return Err(ExportError::Dest("multiple outputs configured to write to stdout"));
    }
    Ok(())
}

/// How an output wants its image; nothing for outputs that are files alone.
pub(crate) fn options(output: &Output) -> Option<&ImageOptions> {
    match output {
        Output::Store { options }
        | Output::Registry { options, .. }
        | Output::Docker { options, .. }
        | Output::Oci { options, .. } => Some(options),
        Output::Local { .. } | Output::Tar { .. } => None,
    }
}

/// Writes one output. Returns where, if it was not the store or a stream.
pub(crate) fn write(
    executor: &Executor,
    output: Output,
    result: &Built<'_>,
    tell: Tell<'_>,
) -> Result<Option<PathBuf>, ExportError> {
    let named = |names: Vec<Reference>| match names.is_empty() {
        true => result.names.to_vec(),
        false => names,
    };
    match output {
        Output::Store { .. } | Output::Registry { .. } => Ok(None),
        Output::Docker { dest, names, .. } => {
            let mut target = Target::open(dest)?;
            let image = result.image()?;
            let mut told = Told::new(&mut target, tell, Some(image.size()));
            archive::docker(&executor.store, image.first()?, named(names), &mut told)?;
            told.finish();
            target.finish()
        }
        Output::Oci { dest, tar: true, names, .. } => {
            let mut target = Target::open(dest)?;
            let image = result.image()?;
            let mut told = Told::new(&mut target, tell, Some(image.size()));
            archive::oci(&executor.store, image, named(names), &mut told)?;
            told.finish();
            target.finish()
        }
        Output::Oci { dest: Dest::Directory(path) | Dest::File(path), names, .. } => {
            archive::oci_directory(&executor.store, result.image()?, named(names), &path)?;
            Ok(Some(path))
        }
        Output::Oci { .. } => Err(ExportError::Dest("an OCI layout without tar needs a directory")),
        Output::Local { dest, split, delete, prefix } => {
            local(executor, result, &dest, split, delete)?;
            statements::beside(executor, result, &dest, split, &prefix)?;
            Ok(Some(dest))
        }
        Output::Tar { dest, prefix } => {
            let mut target = Target::open(dest)?;
            let split = result.platforms.len() > 1;
            let mut placed: Vec<rootfs::Placed<'_>> = Vec::new();
            for (platform, snapshot) in &result.platforms {
                placed.push((split.then(|| directory(platform)), snapshot));
            }
            let mut told = Told::new(&mut target, tell, None);
            let beside = statements::of(executor, result, None, &prefix)?;
            rootfs::tar(executor, &placed, &beside, result.clamp, &mut told)?;
            told.finish();
            target.finish()
        }
    }
}

/// Writes the files of all platforms, each in a directory of its own or all in one.
fn local(
    executor: &Executor,
    result: &Built<'_>,
    dest: &Path,
    split: Option<bool>,
    delete: bool,
) -> Result<(), ExportError> {
    let several = result.platforms.len() > 1;
    let split = split.unwrap_or(several);
    if !split && several {
        rootfs::check_apart(executor, &result.platforms)?;
    }
    if !split && delete {
        let all: Vec<&Snapshot> = result.platforms.iter().map(|(_, snapshot)| *snapshot).collect();
        rootfs::delete_others(executor, &all, dest)?;
    }
    for (platform, snapshot) in &result.platforms {
        let dest = if split { dest.join(directory(platform)) } else { dest.to_path_buf() };
        if split && delete {
            rootfs::delete_others(executor, &[snapshot], &dest)?;
        }
        rootfs::local(executor, snapshot, &TreePath::root(), &dest)?;
    }
    Ok(())
}

/// The directory of a platform: `linux_arm_v7`.
fn directory(platform: &Platform) -> String {
    platform.to_string().replace('/', "_")
}

/// What there is to be written.
pub(crate) struct Built<'a> {
    pub(crate) platforms: Vec<(&'a Platform, &'a Snapshot)>,
    /// The image as this output wants it.
    pub(crate) image: Option<&'a Assembly>,
    pub(crate) names: &'a [Reference],
    pub(crate) clamp: Option<i64>,
    /// What is said about each platform's files.
    pub(crate) said: Option<&'a dyn Fn(usize) -> Vec<Predicate>>,
}

impl Built<'_> {
    fn image(&self) -> Result<&Assembly, ExportError> {
        self.image
            .ok_or_else(|| ExportError::Image { what: "there is none".to_owned(), source: None })
    }
}
