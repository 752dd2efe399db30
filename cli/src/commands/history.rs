//! `gantry history`: what an image's layers came from, the newest first.

use std::process::ExitCode;

use gantry_cache::{Image, LayerId, Store};
use gantry_image::{History, Platform};
use serde_json::Value;

use super::images::read_config;
use super::{Context, now};
use crate::ui::listing::{Listing, Row, row};
use crate::ui::{Failure, human};

/// Show the history of an image
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry history [OPTIONS] IMAGE")]
pub(crate) struct HistoryArgs {
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(
        short = 'H',
        long,
        value_name = "bool",
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Show the history of the image for this platform of several that a name stands for. Formatted
    /// as "os[/arch[/variant]]"
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Show the IDs of the layers in the store, and not `<missing>`
    #[arg(long)]
    steps: bool,
}

const LISTING: Listing = Listing {
    columns: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    default: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    key: "ID",
};

/// How much of an ID fits into the table.
const SHORT_ID: usize = 12;

/// How much of a command fits into the table.
const COMMAND_WIDTH: usize = 45;

pub(crate) fn run(args: &HistoryArgs, context: &Context) -> Result<ExitCode, Failure> {
    let default = match args.human {
        true => LISTING.default,
        false => "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    };
    let listing = Listing { default, ..LISTING };
    let format = listing.format(args.format.as_deref(), args.quiet)?;
    let store = context.store()?;
    let image = store.images().resolve_for(&args.image, args.platform.as_ref())?;
    listing.print(&format, rows(&image, &store, args)?, &context.ui)?;
    Ok(ExitCode::SUCCESS)
}

fn rows(image: &Image, store: &Store, args: &HistoryArgs) -> Result<Vec<Row>, Failure> {
    let config = read_config(image, store)?;
    let mut layers = image.layers.iter();
    let mut rows = Vec::new();
    for entry in &config.value().history {
        let layer = if entry.empty_layer { None } else { layers.next() };
        let size = layer.map_or(Ok(0), |layer| layer_size(layer, store))?;
        rows.push(row_of(entry, layer, size, args));
    }
    // Layers that the history doesn't account for are there all the same.
    for layer in layers {
        rows.push(row_of(&History::default(), Some(layer), layer_size(layer, store)?, args));
    }
    rows.reverse();
    if let Some(newest) = rows.first_mut().filter(|_| !args.steps) {
        let id = if args.no_trunc { image.id.to_string() } else { image.id.short() };
        newest.insert("ID".to_owned(), id.into());
    }
    Ok(rows)
}

fn row_of(entry: &History, layer: Option<&LayerId>, size: u64, args: &HistoryArgs) -> Row {
    // What only changes the config has no layer.
    let id = match layer.filter(|_| args.steps) {
        Some(layer) if args.no_trunc => layer.to_string(),
        Some(layer) => layer.to_string().chars().take(SHORT_ID).collect(),
        None => "<missing>".to_owned(),
    };
    let created = entry.created.as_ref().and_then(|time| time.unix()).map(|(seconds, _)| seconds);
    let since = created.map_or_else(|| "N/A".to_owned(), |then| human::ago(then, now()));
    let at = created.map_or_else(String::new, human::rfc3339);
    let command = entry.created_by.replace('\t', " ");
    let command = match args.no_trunc {
        true => command,
        false => human::ellipsis(&command, COMMAND_WIDTH),
    };
    let size: Value = match args.human {
        true => human::size(size).into(),
        false => size.to_string().into(),
    };
    row([
        ("ID", id.into()),
        ("CreatedSince", since.into()),
        ("CreatedAt", at.into()),
        ("CreatedBy", command.into()),
        ("Size", size),
        ("Comment", entry.comment.as_str().into()),
    ])
}

/// The sum of a layer's files, which may take reading its blob once.
fn layer_size(id: &LayerId, store: &Store) -> Result<u64, Failure> {
    let layer = store.layers().require(id)?;
    match layer.size {
        Some(size) => Ok(size),
        // What its registry says is as much as is known.
        None if layer.is_remote_only() => {
            Ok(layer.forms.remote.first().map_or(0, |form| form.blob.size))
        }
        None => Ok(store.layers().ensure_manifest(id)?.total_size()),
    }
}
