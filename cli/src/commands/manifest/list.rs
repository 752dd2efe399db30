//! `gantry manifest create`, `annotate`, `push` and `rm`: lists that the store keeps until they are
//! pushed.

use gantry_cache::{Key, NewRecord, Store};
use gantry_image::{Descriptor, Platform, Reference};
use gantry_solver::CancelToken;
use serde_json::{Value, json};

use super::{Entry, copy, entry, index, reference};
use crate::commands::Context;
use crate::ui::Failure;

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

pub(super) fn create(args: &CreateArgs, context: &Context) -> Result<(), Failure> {
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

pub(super) fn annotate(args: &AnnotateArgs, context: &Context) -> Result<(), Failure> {
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

pub(super) fn push(args: &PushArgs, context: &Context) -> Result<(), Failure> {
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

pub(super) fn rm(args: &RmArgs, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    for list in &args.lists {
        let name = reference(list)?;
        local(&store, &name)?;
        keep(&store, &name, &[])?;
    }
    Ok(())
}

fn key(name: &Reference) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("gantry manifest list 1");
    hasher.update(name.to_string().as_bytes());
    Key(*hasher.finalize().as_bytes())
}

/// Keeps a list in the store; an empty one is none.
fn keep(store: &Store, name: &Reference, entries: &[Entry]) -> Result<(), Failure> {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(from, descriptor)| json!({"from": from.to_string(), "descriptor": descriptor}))
        .collect();
    store.records().put(&NewRecord::of_no_step(key(name), &[], &serde_json::to_vec(&entries)?))?;
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
