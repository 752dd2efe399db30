//! `gantry buildx imagetools`: looking at images in registries, and making indexes of them.

use gantry_image::{Descriptor, ImageIndex, MediaType, Raw, Reference};
use gantry_solver::CancelToken;
use serde_json::{Value, json};

use super::{Entry, Index, copy, entry, index, reference};
use crate::commands::Context;
use crate::ui::{Failure, listing};

/// Show details of an image in the registry
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
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
pub(crate) struct CreateArgs {
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

pub(super) fn inspect(args: &InspectArgs, context: &Context) -> Result<(), Failure> {
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

pub(super) fn create(args: &CreateArgs, context: &Context) -> Result<(), Failure> {
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
