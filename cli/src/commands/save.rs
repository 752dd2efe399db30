//! `gantry save`: images into one tar.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;

use gantry_cache::Store;
use gantry_executor::{Dest, Target};
use gantry_image::{Digest, Platform, Reference};

use super::Context;
use crate::privilege;
use crate::transfer::{self, Form, Saved, Tell};
use crate::ui::Failure;
use crate::ui::bars::Bars;

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry save [OPTIONS] IMAGE [IMAGE...]")]
pub(crate) struct SaveArgs {
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Write to a file (or directory, for oci-dir), instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<PathBuf>,
    /// What to write: one tar that is a docker archive and an OCI layout, or an OCI layout
    #[arg(long, value_name = "string", default_value = "docker-archive",
          value_parser = ["docker-archive", "oci-archive", "oci-dir"])]
    format: String,
    /// Save only the image for this platform, and not all that its name stands for. Formatted as
    /// "os[/arch[/variant]]"
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
}

pub(crate) fn run(args: &SaveArgs, context: &Context) -> Result<ExitCode, Failure> {
    if args.format == "oci-dir" && args.output.is_none() {
        return Err(
            Failure::usage("a directory is needed for oci-dir").with_hint("Name one with `-o`")
        );
    }
    if args.output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::text(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect",
        ));
    }
    // Trees may hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let store = context.store()?;
    let images = select(&args.images, args.platform.as_ref(), &store)?;
    // Where the archive goes to stdout, stderr is what there is to look at.
    let bars = Bars::on_stderr();
    let tell = |layer: &Digest, current, total| {
        if let Some(bars) = &bars {
            bars.moved(layer, "Saving layer", current, total);
        }
    };
    let tell: Tell<'_> = &tell;
    let form = if args.format == "docker-archive" { Form::Docker } else { Form::Oci };
    match &args.output {
        None => {
            // Past the buffer that stdout has, so that the kernel may copy.
            let mut out = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
            transfer::save(images, form, &store, &mut out, tell)?;
        }
        Some(path) if args.format == "oci-dir" => {
            transfer::save_layout(images, &store, path, tell)?
        }
        Some(path) => {
            let mut target = Target::open(Dest::File(path.clone()))?;
            transfer::save(images, form, &store, &mut target, tell)?;
            target.finish()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds the images. One asked for by several names comes once, with all of them; but for those that
/// stand for another index.
fn select(
    texts: &[String],
    platform: Option<&Platform>,
    store: &Store,
) -> Result<Vec<Saved>, Failure> {
    let mut all: Vec<Saved> = Vec::new();
    for text in texts {
        for (image, name) in named(text, platform, store)? {
            let same = |saved: &Saved| (saved.image.id, saved.image.list) == (image.id, image.list);
            let position = all.iter().position(same).unwrap_or_else(|| {
                all.push(Saved { image, names: Vec::new() });
                all.len() - 1
            });
            let names = &mut all[position].names;
            names.extend(name.filter(|name| !names.contains(name)));
        }
    }
    Ok(all)
}

type Named = Vec<(gantry_cache::Image, Option<Reference>)>;

/// What a text names: one image, without a name if by its ID; a repository names all of its tags.
fn named(text: &str, platform: Option<&Platform>, store: &Store) -> Result<Named, Failure> {
    let mut names = Vec::new();
    if let Ok(reference) = text.parse::<Reference>() {
        let whole = reference.tag().is_none() && reference.digest().is_none();
        let wanted = |name: &Reference| match whole {
            true => name.name() == reference.name() && name.tag().is_some(),
            false => *name == reference,
        };
        let images = store.images().list()?;
        names.extend(images.into_iter().flat_map(|image| image.names).filter(wanted));
    }
    let find = |text: &str| -> Result<gantry_cache::Image, Failure> {
        let mut image = store.images().resolve_for(text, platform)?;
        if platform.is_some() {
            image.list = None;
        }
        Ok(image)
    };
    if names.is_empty() {
        return Ok(vec![(find(text)?, None)]);
    }
    names.into_iter().map(|name| Ok((find(&name.to_string())?, Some(name)))).collect()
}
