//! `gantry push`, in docker's words.

use std::process::ExitCode;

use gantry_cache::Store;
use gantry_executor::registry::{PushRequest, Registry, Unwatched, Watch};
use gantry_image::{Platform, Reference};
use gantry_solver::CancelToken;

use super::Context;
use super::pull::PushLines;
use crate::args::Transfer;
use crate::ui::Failure;
use crate::{privilege, settings};

/// Upload an image to a registry
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry push [OPTIONS] NAME[:TAG]")]
pub(crate) struct PushArgs {
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Push only the image for this platform, and not the whole index that a name stands for
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// Skip image signing (nothing is signed)
    #[arg(long, default_value_t = true, default_missing_value = "true", num_args = 0..=1,
          require_equals = true, action = clap::ArgAction::Set, hide = true)]
    disable_content_trust: bool,
    #[command(flatten)]
    transfer: Transfer,
}

pub(crate) fn run(args: &PushArgs, context: &Context) -> Result<ExitCode, Failure> {
    let name: Reference = args.name.parse()?;
    if name.digest().is_some() {
        return Err(Failure::text("cannot push a digest reference"));
    }
    if args.all_tags && name.tag().is_some() {
        return Err(Failure::text("tag can't be used with --all-tags/-a"));
    }
    let transfer = args.transfer.completed()?;
    // Trees hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let store = context.store()?;
    let registry = context.registry_by(transfer.over(settings::registry(), Some(name.domain()))?);
    let names = match args.all_tags {
        true => tags(&name, &store)?,
        false => {
            if name.tag().is_none() && !args.quiet {
                context.ui.line("Using default tag: latest")?;
            }
            vec![name.clone().with_default_tag()]
        }
    };
    if !args.quiet {
        context.ui.line(format_args!("The push refers to repository [{}]", name.name()))?;
    }
    for name in &names {
        push(name, args, &store, &registry, context)?;
    }
    if args.quiet {
        context.ui.line(match args.all_tags {
            true => name.to_string(),
            false => name.with_default_tag().to_string(),
        })?;
    }
    store.sync()?;
    Ok(ExitCode::SUCCESS)
}

fn tags(name: &Reference, store: &Store) -> Result<Vec<Reference>, Failure> {
    let images = store.images().list()?;
    let mut names: Vec<Reference> = images
        .into_iter()
        .flat_map(|image| image.names)
        .filter(|other| other.name() == name.name() && other.tag().is_some())
        .collect();
    if names.is_empty() {
        return Err(absent(name));
    }
    names.sort();
    Ok(names)
}

fn push(
    name: &Reference,
    args: &PushArgs,
    store: &Store,
    registry: &Registry,
    context: &Context,
) -> Result<(), Failure> {
    let found = store.images().resolve(&name.to_string());
    let image =
        found.ok().filter(|image| image.names.contains(name)).ok_or_else(|| absent(name))?;
    let (image, list) = match &args.platform {
        Some(platform) => {
            let found = store.images().resolve_for(&name.to_string(), Some(platform))?;
            (found, None)
        }
        None => {
            let list = image.list;
            (image, list)
        }
    };
    let lines = PushLines::new(&context.ui);
    let watch: &dyn Watch = if args.quiet { &Unwatched } else { &lines };
    let request = PushRequest { image: image.id, list, reference: name };
    let pushed = registry.push(&request, store, watch, &CancelToken::new())?;
    if !args.quiet {
        let tag = name.tag().unwrap_or("latest");
        context.ui.line(format_args!("{tag}: digest: {} size: {}", pushed.digest, pushed.size))?;
    }
    Ok(())
}

fn absent(name: &Reference) -> Failure {
    Failure::text(format_args!(
        "An image does not exist locally with the tag: {}",
        name.familiar_name()
    ))
}
