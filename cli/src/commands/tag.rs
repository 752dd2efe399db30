//! `gantry tag`.

use std::process::ExitCode;

use gantry_image::Reference;

use super::Context;
use crate::ui::Failure;

/// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]")]
pub(crate) struct TagArgs {
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

pub(crate) fn run(args: &TagArgs, context: &Context) -> Result<ExitCode, Failure> {
    let target = parse_target(&args.target)?;
    let store = context.store()?;
    let image = store.images().resolve(&args.source)?;
    store.images().tag_list(&target, &image.id, image.list.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a name that an image shall get.
pub(super) fn parse_target(text: &str) -> Result<Reference, Failure> {
    let reference: Reference = text.parse().map_err(|err| {
        Failure::text(format_args!(
            "Error parsing reference: \"{text}\" is not a valid repository/tag: {err}"
        ))
    })?;
    if reference.digest().is_some() {
        return Err(Failure::text("refusing to create a tag with a digest reference"));
    }
    Ok(reference.with_default_tag())
}
