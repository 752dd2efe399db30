//! `gantry load`: images out of an archive.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use gantry_image::{Digest, Platform};

use super::Context;
use crate::transfer::{self, Source};
use crate::ui::Failure;
use crate::ui::bars::Bars;

/// Load an image from a tar archive or STDIN
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry load [OPTIONS]")]
pub(crate) struct LoadArgs {
    /// Read from a tar archive file (or an OCI layout directory), instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<PathBuf>,
    /// Load only the given platform variant. Formatted as "os[/arch[/variant]]"
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Suppress the load output: no bars on a terminal
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &LoadArgs, context: &Context) -> Result<ExitCode, Failure> {
    let (source, name) = match &args.input {
        Some(path) => (Source::Path(path), path.display().to_string()),
        None if io::stdin().is_terminal() => {
            return Err(Failure::text("requested load from stdin, but stdin is empty")
                .with_hint("Name a file with `-i`, or pipe one in"));
        }
        None => (Source::Stream(Box::new(io::stdin())), "-".to_owned()),
    };
    let store = context.store()?;
    let bars = if args.quiet { None } else { Bars::on_stdout() };
    let tell = |layer: &Digest, current, total| {
        if let Some(bars) = &bars {
            bars.moved(layer, "Loading layer", current, total);
        }
    };
    let loaded = transfer::load(source, &name, args.platform.as_ref(), &store, &tell)?;
    drop(bars);
    for loaded in loaded {
        if loaded.names.is_empty() {
            context.ui.line(format_args!("Loaded image ID: {}", loaded.id))?;
        }
        for name in loaded.names {
            context.ui.line(format_args!("Loaded image: {}", name.familiar()))?;
        }
    }
    store.sync()?;
    Ok(ExitCode::SUCCESS)
}
