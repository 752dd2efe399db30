//! `gantry import`: a root filesystem's tar made into an image.

use std::io::{self, IsTerminal as _, Read};
use std::process::ExitCode;

use gantry_image::Platform;

use super::{Context, now, tag};
use crate::settings;
use crate::transfer::{self, Import};
use crate::ui::Failure;

/// Import the contents from a tarball to create a filesystem image
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry import [OPTIONS] file|- [REPOSITORY[:TAG]]")]
pub(crate) struct ImportArgs {
    /// The tar, compressed or not; `-` is STDIN
    #[arg(value_name = "file|-")]
    source: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long = "change", value_name = "list")]
    changes: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, value_name = "string")]
    message: Option<String>,
    /// Set platform of the image
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
}

pub(crate) fn run(args: &ImportArgs, context: &Context) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(tag::parse_target).transpose()?;
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let config = transfer::changes(&args.changes, &platform)?;
    let tar: Box<dyn Read + Send> = match args.source.as_str() {
        "-" if io::stdin().is_terminal() => {
            return Err(Failure::text("There is nothing on stdin to import")
                .with_hint("Name a file, or pipe one in"));
        }
        "-" => Box::new(io::stdin()),
        url if url.starts_with("http://") || url.starts_with("https://") => {
            return Err(Failure::text(format_args!("Can't import `{url}`: only files and stdin"))
                .with_hint(format!("Try `curl -L {url} | gantry import - NAME`")));
        }
        path => Box::new(fs_err::File::open(path)?),
    };
    let message = args.message.clone().unwrap_or_else(|| format!("Imported from {}", args.source));
    let store = context.store()?;
    let import = Import {
        config,
        message: &message,
        platform,
        name: name.as_ref(),
        created: settings::source_date_epoch()?.unwrap_or_else(now),
    };
    let id = transfer::import(tar, &import, &store)?;
    context.ui.line(id)?;
    store.sync()?;
    Ok(ExitCode::SUCCESS)
}
