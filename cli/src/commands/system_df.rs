//! `gantry system df`: the same space as `gantry du`, summed up as docker does.

use std::process::ExitCode;

use gantry_cache::{Kind, Usage};

use super::Context;
use crate::privilege;
use crate::ui::listing::{Listing, Row, row};
use crate::ui::{Failure, human};

/// Show gantry disk usage
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry system df [OPTIONS]")]
pub(crate) struct DfArgs {
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
}

const LISTING: Listing = Listing {
    columns: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    default: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    key: "Type",
};

pub(crate) fn run(args: &DfArgs, context: &Context) -> Result<ExitCode, Failure> {
    // Trees may hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let format = LISTING.format(args.format.as_deref(), false)?;
    let usages = match context.existing_store()? {
        Some(store) => store.du()?,
        None => Vec::new(),
    };
    let rows = vec![
        summary("Images", &usages, &[Kind::Image]),
        summary("Layers", &usages, &[Kind::Layer, Kind::Blob]),
        summary("Build Cache", &usages, &[Kind::CacheMount, Kind::Context, Kind::Log]),
        summary("Internal", &usages, &[Kind::Store, Kind::Work]),
    ];
    LISTING.print(&format, rows, &context.ui)?;
    Ok(ExitCode::SUCCESS)
}

fn summary(name: &str, usages: &[Usage], kinds: &[Kind]) -> Row {
    let usages = || usages.iter().filter(|usage| kinds.contains(&usage.kind));
    let total: u64 = usages().map(|usage| usage.size).sum();
    let free: u64 = usages().filter(|usage| usage.reclaimable).map(|usage| usage.size).sum();
    let reclaimable = match (free * 100).checked_div(total) {
        Some(percent) => format!("{} ({percent}%)", human::fine_size(free)),
        None => human::fine_size(free),
    };
    row([
        ("Type", name.into()),
        ("TotalCount", usages().count().to_string().into()),
        ("Active", usages().filter(|usage| usage.used_by.is_some()).count().to_string().into()),
        ("Size", human::fine_size(total).into()),
        ("Reclaimable", reclaimable.into()),
    ])
}
