//! `gantry manifest` and `gantry buildx imagetools`: manifests and indexes in a registry.

use std::process::ExitCode;

use gantry_cache::{Key, NewRecord, RecordKind, Store};
use gantry_executor::registry::{Document, Registry};
use gantry_image::{Descriptor, ImageIndex, ImageManifest, MediaType, Platform, Raw, Reference};
use gantry_solver::CancelToken;
use serde::Serialize;
use serde_json::{Value, json};

use super::Context;
use crate::ui::{Failure, listing};

/// Manage manifests and manifest lists in registries
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Manifest {
    Inspect(InspectArgs),
    Create(CreateArgs),
    Annotate(AnnotateArgs),
    Push(PushArgs),
    Rm(RmArgs),
}

/// Commands to work on images in registries
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Imagetools {
    Inspect(ToolsInspectArgs),
    Create(ToolsCreateArgs),
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

/// Create a local manifest list for annotating and pushing to a registry
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    #[arg(value_name = "MANIFEST_LIST")]
    list: String,
    #[arg(value_name = "MANIFEST", required = true)]
    manifests: Vec<String>,
    /// Amend an existing manifest list
    #[arg(short, long)]
    amend: bool,
    /// Allow communication with an insecure registry (loopback addresses may be, others by file)
    #[arg(long, hide = true)]
    insecure: bool,
}

/// Add additional information to a local image manifest
#[derive(Debug, clap::Args)]
pub(crate) struct AnnotateArgs {
    #[arg(value_name = "MANIFEST_LIST")]
    list: String,
    #[arg(value_name = "MANIFEST")]
    manifest: String,
    /// Set architecture
    #[arg(long, value_name = "string")]
    arch: Option<String>,
    /// Set operating system
    #[arg(long, value_name = "string")]
    os: Option<String>,
    /// Set operating system feature
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Set operating system version
    #[arg(long, value_name = "string")]
    os_version: Option<String>,
    /// Set architecture variant
    #[arg(long, value_name = "string")]
    variant: Option<String>,
}

/// Push a manifest list to a repository
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    #[arg(value_name = "MANIFEST_LIST")]
    list: String,
    /// Remove the local manifest list after push
    #[arg(short, long)]
    purge: bool,
    /// Allow push to an insecure registry (loopback addresses may be, others by file)
    #[arg(long, hide = true)]
    insecure: bool,
}

/// Delete one or more manifest lists from local storage
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    #[arg(value_name = "MANIFEST_LIST", required = true)]
    lists: Vec<String>,
}

/// Show details of an image in the registry
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsInspectArgs {
    #[arg(value_name = "NAME")]
    name: String,
    /// Format the output using the given Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show original, unformatted JSON manifest
    #[arg(long)]
    raw: bool,
}

/// Create a new image based on source images
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsCreateArgs {
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<String>,
    /// Append to existing manifest
    #[arg(long)]
    append: bool,
    /// Show final image instead of pushing
    #[arg(long)]
    dry_run: bool,
    /// Add annotation to the image
    #[arg(long = "annotation", value_name = "stringArray")]
    annotations: Vec<String>,
    /// Set reference for new image
    #[arg(short, long = "tag", value_name = "stringArray")]
    tags: Vec<String>,
}

impl Manifest {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Inspect(args) => {
                let name = reference(&args.name)?;
                let document = context.registry().document(&name, &CancelToken::new())?;
                context.ui.line(indented(&document)?)?;
            }
            Self::Create(args) => create(args, context)?,
            Self::Annotate(args) => annotate(args, context)?,
            Self::Push(args) => push(args, context)?,
            Self::Rm(args) => {
                let store = context.store()?;
                for list in &args.lists {
                    let name = reference(list)?;
                    local(&store, &name)?;
                    keep(&store, &name, &[])?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Imagetools {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Inspect(args) => tools_inspect(args, context)?,
            Self::Create(args) => tools_create(args, context)?,
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

fn key(name: &Reference) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("gantry manifest list 1");
    hasher.update(name.to_string().as_bytes());
    Key(*hasher.finalize().as_bytes())
}

/// An entry of a list that is not pushed yet: where it comes from, and what the list says of it.
type Entry = (Reference, Descriptor);

/// Keeps a list in the store; an empty one is none.
fn keep(store: &Store, name: &Reference, entries: &[Entry]) -> Result<(), Failure> {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(from, descriptor)| json!({"from": from.to_string(), "descriptor": descriptor}))
        .collect();
    store.records().put(&NewRecord {
        key: key(name),
        kind: RecordKind::Other,
        layers: &[],
        preimage: None,
        took: std::time::Duration::ZERO,
        log: None,
        extra: &serde_json::to_vec(&entries)?,
        project: "",
        stage: "",
        position: 0,
        text: "",
    })?;
    Ok(())
}

/// Reads a list that was kept.
fn local(store: &Store, name: &Reference) -> Result<Vec<Entry>, Failure> {
    #[derive(serde::Deserialize)]
    struct Kept {
        from: String,
        descriptor: Descriptor,
    }
    let record = store.records().get(&key(name))?;
    let kept: Vec<Kept> = match record {
        Some(record) => serde_json::from_slice(&record.extra)?,
        None => Vec::new(),
    };
    if kept.is_empty() {
        return Err(Failure::text(format_args!("No such manifest: {}", name.familiar())));
    }
    kept.into_iter().map(|kept| Ok((kept.from.parse()?, kept.descriptor))).collect()
}

fn create(args: &CreateArgs, context: &Context) -> Result<(), Failure> {
    let (name, store) = (reference(&args.list)?, context.store()?);
    let mut entries = match local(&store, &name) {
        Ok(entries) if args.amend => entries,
        Ok(_) => {
            return Err(Failure::text(format_args!(
                "refusing to amend an existing manifest list with no --amend flag"
            )));
        }
        Err(_) => Vec::new(),
    };
    let registry = context.registry();
    for text in &args.manifests {
        let from = reference(text)?;
        let entry = entry(&registry, &from)?;
        if entry.media_type.is_index() {
            return Err(Failure::text(format_args!("{} is a manifest list", from.familiar())));
        }
        entries.retain(|(known, _)| *known != from);
        entries.push((from, entry));
    }
    keep(&store, &name, &entries)?;
    context.ui.line(format_args!("Created manifest list {name}"))?;
    Ok(())
}

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

fn annotate(args: &AnnotateArgs, context: &Context) -> Result<(), Failure> {
    let (name, store) = (reference(&args.list)?, context.store()?);
    let (mut entries, wanted) = (local(&store, &name)?, reference(&args.manifest)?);
    let Some((_, entry)) = entries.iter_mut().find(|(from, _)| *from == wanted) else {
        return Err(Failure::text(format_args!(
            "manifest for image {} does not exist in {}",
            wanted.familiar(),
            name.familiar()
        )));
    };
    let platform = entry.platform.get_or_insert_with(Platform::default);
    if let Some(os) = &args.os {
        platform.os.clone_from(os);
    }
    if let Some(arch) = &args.arch {
        platform.architecture.clone_from(arch);
    }
    if args.variant.is_some() {
        platform.variant.clone_from(&args.variant);
    }
    if args.os_version.is_some() {
        platform.os_version.clone_from(&args.os_version);
    }
    platform.os_features.extend(args.os_features.iter().cloned());
    keep(&store, &name, &entries)
}

fn push(args: &PushArgs, context: &Context) -> Result<(), Failure> {
    let (name, store) = (reference(&args.list)?, context.store()?);
    let entries = local(&store, &name)?;
    let index = index(entries.iter().map(|(_, entry)| entry.clone()).collect());
    let registry = context.registry();
    for (from, entry) in &entries {
        copy(&registry, &from.with_digest(entry.digest), &name, &store)?;
    }
    registry.put(&name, &index.media_type(), index.raw.bytes(), &CancelToken::new())?;
    context.ui.line(index.raw.digest())?;
    if args.purge {
        keep(&store, &name, &[])?;
    }
    Ok(())
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

fn tools_inspect(args: &ToolsInspectArgs, context: &Context) -> Result<(), Failure> {
    let name = reference(&args.name)?;
    let (registry, cancel) = (context.registry(), CancelToken::new());
    let document = registry.document(&name, &cancel)?;
    if args.raw {
        context.ui.write(&String::from_utf8_lossy(&document.bytes))?;
        return Ok(());
    }
    let size = document.bytes.len() as u64;
    if let Some(format) = &args.format {
        let mut manifest: Value = serde_json::from_slice(&document.bytes)?;
        manifest["digest"] = document.digest.to_string().into();
        manifest["size"] = size.into();
        let mut data = json!({"Name": name.to_string(), "Manifest": manifest});
        // Go's names of the fields that templates ask for.
        data["Manifest"]["Digest"] = data["Manifest"]["digest"].clone();
        data["Manifest"]["MediaType"] = document.media_type.as_str().into();
        if format.contains(".Image") && !document.media_type.is_index() {
            let config = registry.image_config(&name, &document, &cancel)?;
            data["Image"] = serde_json::from_slice(config.bytes())?;
        }
        return listing::print_one(format, &data, &context.ui);
    }
    let mut text = format!(
        "Name:      {name}\nMediaType: {}\nDigest:    {}\n",
        document.media_type, document.digest
    );
    if document.media_type.is_index() {
        text.push_str("           \nManifests: \n");
        let index = Raw::<ImageIndex>::parse(document.bytes)?;
        for entry in &index.value().manifests {
            let platform = entry.platform.as_ref().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!(
                "  Name:        {}\n  MediaType:   {}\n  Platform:    {platform}\n",
                name.with_digest(entry.digest),
                entry.media_type
            ));
            if !entry.annotations.is_empty() {
                text.push_str("  Annotations: \n");
                for (key, value) in &entry.annotations {
                    text.push_str(&format!("    {key}: {value}\n"));
                }
            }
            text.push_str("               \n");
        }
    }
    context.ui.write(&text)?;
    Ok(())
}

fn tools_create(args: &ToolsCreateArgs, context: &Context) -> Result<(), Failure> {
    if args.tags.is_empty() && !args.dry_run {
        return Err(Failure::text("can't push without a tag; give one with `--tag`"));
    }
    let tags: Vec<Reference> =
        args.tags.iter().map(|tag| reference(tag)).collect::<Result<_, _>>()?;
    let (registry, cancel) = (context.registry(), CancelToken::new());
    let mut sources: Vec<Reference> = match tags.first() {
        Some(tag) if args.append => vec![tag.clone()],
        _ => Vec::new(),
    };
    for source in &args.sources {
        sources.push(reference(source)?);
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut single = None;
    for source in &sources {
        let document = registry.document(source, &cancel)?;
        if sources.len() == 1 && args.annotations.is_empty() {
            single = Some(document.clone());
        }
        if document.media_type.is_index() {
            let index = Raw::<ImageIndex>::parse(document.bytes)?;
            let inner = index.value().manifests.iter();
            entries.extend(inner.map(|entry| (source.with_digest(entry.digest), entry.clone())));
        } else {
            let digest = document.digest;
            entries.push((source.with_digest(digest), entry(&registry, source)?));
        }
    }
    // A later one takes the place of an earlier one for the same platform.
    let mut chosen: Vec<Entry> = Vec::new();
    for (from, entry) in entries {
        let alike = |other: &Descriptor| {
            other.digest == entry.digest
                || (!entry.is_attestation()
                    && !other.is_attestation()
                    && entry.platform.is_some()
                    && other.platform == entry.platform)
        };
        chosen.retain(|(_, other)| !alike(other));
        chosen.push((from, entry));
    }
    let index = index_with(&chosen, &args.annotations)?;
    // One source alone is copied as it is.
    let (media_type, bytes) = match single {
        Some(document) => (document.media_type, document.bytes),
        None => (index.media_type(), index.raw.bytes().into()),
    };
    if args.dry_run {
        context.ui.line(String::from_utf8_lossy(&bytes))?;
        return Ok(());
    }
    let store = context.store()?;
    for tag in &tags {
        for (from, _) in &chosen {
            copy(&registry, from, tag, &store)?;
        }
        registry.put(tag, &media_type, &bytes, &cancel)?;
        context.ui.note(format_args!("{tag}: {}", gantry_image::Digest::of(&bytes)));
    }
    Ok(())
}

fn index_with(chosen: &[Entry], annotations: &[String]) -> Result<Index, Failure> {
    let made = index(chosen.iter().map(|(_, entry)| entry.clone()).collect());
    if annotations.is_empty() {
        return Ok(made);
    }
    let mut value = made.raw.value().clone();
    value.media_type = Some(MediaType::OciIndex);
    for annotation in annotations {
        let (key, text) = annotation
            .split_once('=')
            .ok_or_else(|| Failure::text(format_args!("invalid annotation {annotation}")))?;
        let key = key.strip_prefix("index:").unwrap_or(key);
        value.annotations.insert(key.to_owned(), text.to_owned());
    }
    Ok(Index { raw: Raw::write(value), docker: false })
}
