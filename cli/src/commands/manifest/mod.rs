//! `gantry manifest` and `gantry buildx imagetools`: manifests and indexes in a registry.

mod list;
mod tools;

use std::process::ExitCode;

use gantry_cache::Store;
use gantry_executor::registry::{Document, Registry};
use gantry_image::{Descriptor, ImageIndex, ImageManifest, MediaType, Raw, Reference};
use gantry_solver::CancelToken;
use serde::Serialize;

use super::Context;
use crate::ui::Failure;

/// Manage manifests and manifest lists in registries
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Manifest {
    Inspect(InspectArgs),
    Create(list::CreateArgs),
    Annotate(list::AnnotateArgs),
    Push(list::PushArgs),
    Rm(list::RmArgs),
}

/// Commands to work on images in registries
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Imagetools {
    Inspect(tools::InspectArgs),
    Create(tools::CreateArgs),
}

/// Display an image manifest, or manifest list
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    #[arg(value_name = "MANIFEST")]
    name: String,
    /// Allow communication with an insecure registry (loopback addresses may be, others by file)
    #[arg(long, hide = true)]
    insecure: bool,
}

impl Manifest {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Inspect(args) => {
                let name = reference(&args.name)?;
                let document = context.registry().document(&name, &CancelToken::new())?;
                context.ui.line(indented(&document)?)?;
            }
            Self::Create(args) => list::create(args, context)?,
            Self::Annotate(args) => list::annotate(args, context)?,
            Self::Push(args) => list::push(args, context)?,
            Self::Rm(args) => list::rm(args, context)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Imagetools {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Inspect(args) => tools::inspect(args, context)?,
            Self::Create(args) => tools::create(args, context)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn reference(text: &str) -> Result<Reference, Failure> {
    Ok(text.parse::<Reference>()?.with_default_tag())
}

/// A manifest or index as `docker manifest inspect` shows it.
fn indented(document: &Document) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    if document.media_type.is_index() {
        Raw::<ImageIndex>::parse(document.bytes.clone())?.value().serialize(&mut serializer)?;
    } else {
        Raw::<ImageManifest>::parse(document.bytes.clone())?.value().serialize(&mut serializer)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An entry of a list that is not pushed yet: where it comes from, and what the list says of it.
type Entry = (Reference, Descriptor);

/// What an index says of an image: its descriptor with its platform.
fn entry(registry: &Registry, from: &Reference) -> Result<Descriptor, Failure> {
    let cancel = CancelToken::new();
    let document = registry.document(from, &cancel)?;
    let size = document.bytes.len() as u64;
    let mut entry = Descriptor::new(document.media_type.clone(), document.digest, size);
    if !document.media_type.is_index() {
        let config = registry.image_config(from, &document, &cancel)?;
        entry.platform = Some(config.platform().normalized());
    }
    Ok(entry)
}

/// Brings an image of another repository into that of `to`.
fn copy(
    registry: &Registry,
    from: &Reference,
    to: &Reference,
    store: &Store,
) -> Result<(), Failure> {
    if from.name() != to.name() {
        let work = store.work_dir()?;
        registry.copy(from, to, &work.scratch(), &CancelToken::new())?;
    }
    Ok(())
}

/// An index, written.
struct Index {
    raw: Raw<ImageIndex>,
    docker: bool,
}

impl Index {
    fn media_type(&self) -> MediaType {
        if self.docker { MediaType::DockerList } else { MediaType::OciIndex }
    }
}

/// Docker's kind of index for docker's kind of manifests, else OCI's.
fn index(entries: Vec<Descriptor>) -> Index {
    let docker = entries.iter().all(|entry| entry.media_type == MediaType::DockerManifest);
    Index { raw: Raw::write(ImageIndex::new(entries, docker)), docker }
}
