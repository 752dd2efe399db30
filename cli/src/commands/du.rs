//! `gantry du`: what takes how much space below the store's root.

use std::process::ExitCode;

use gantry_cache::Usage;

use super::images::seconds;
use super::{Context, now};
use crate::privilege;
use crate::ui::filter::{Filter, Filters};
use crate::ui::listing::{Format, Listing, Row, row};
use crate::ui::{Failure, human};

/// Disk usage
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry du [OPTIONS]")]
pub(crate) struct DuArgs {
    /// Provide filter values (id, description, type, reclaimable)
    #[arg(long = "filter", value_name = "filter")]
    filters: Vec<Filter>,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Shorthand for a block of lines for each entry
    #[arg(long)]
    verbose: bool,
}

const LISTING: Listing = Listing {
    columns: &[
        ("ID", "ID"),
        ("Type", "TYPE"),
        ("Description", "DESCRIPTION"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("Bytes", "BYTES"),
        ("CreatedAt", "CREATED AT"),
        ("LastUsedSince", "LAST USED"),
        ("LastUsedAt", "LAST USED AT"),
        ("UsedBy", "USED BY"),
    ],
    default: "{{.ID}}\t{{.Type}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedSince}}\t{{.Description}}",
    key: "ID",
};

const VERBOSE: &str = "ID:\t{{.ID}}\nType:\t{{.Type}}\nDescription:\t{{.Description}}\n\
     Created at:\t{{.CreatedAt}}\nLast used:\t{{.LastUsedSince}}\nUsed by:\t{{.UsedBy}}\n\
     Reclaimable:\t{{.Reclaimable}}\nSize:\t{{.Size}}\n";

pub(crate) fn run(args: &DuArgs, context: &Context) -> Result<ExitCode, Failure> {
    let verbose = args.verbose.then_some(VERBOSE);
    // Trees may hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let format = LISTING.format(args.format.as_deref().or(verbose), false)?;
    let filters = Filters::new(&args.filters, &["description", "id", "reclaimable", "type"])?;
    let reclaimable = filters.flag("reclaimable")?;
    let usages = match context.existing_store()? {
        Some(store) => store.du()?,
        None => Vec::new(),
    };
    let shown: Vec<&Usage> = usages
        .iter()
        .filter(|usage| {
            filters.allow("id", |id| usage.id.starts_with(id))
                && filters.allow("type", |kind| usage.kind.name() == kind)
                && filters.allow("description", |text| usage.description.contains(text))
                && reclaimable.is_none_or(|wanted| usage.reclaimable == wanted)
        })
        .collect();
    let rows = shown.iter().map(|usage| row_of(usage, args.no_trunc)).collect();
    LISTING.print(&format, rows, &context.ui)?;
    if matches!(format, Format::Table(_)) {
        let sum = |usages: &mut dyn Iterator<Item = &&Usage>| usages.map(|usage| usage.size).sum();
        let total: u64 = sum(&mut shown.iter());
        let free: u64 = sum(&mut shown.iter().filter(|usage| usage.reclaimable));
        context.ui.line(format_args!("Reclaimable:\t{}", human::fine_size(free)))?;
        context.ui.line(format_args!("Total:\t\t{}", human::fine_size(total)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row_of(usage: &Usage, no_trunc: bool) -> Row {
    let at =
        |time: Option<_>| time.map_or_else(String::new, |time| human::timestamp(seconds(time)));
    let since = usage.last_used.map_or_else(String::new, |time| human::ago(seconds(time), now()));
    let id = match no_trunc {
        true => usage.id.clone(),
        false => human::ellipsis(&usage.id, 25),
    };
    let description = match no_trunc {
        true => usage.description.clone(),
        false => human::ellipsis(&usage.description, 60),
    };
    row([
        ("ID", id.into()),
        ("Type", usage.kind.name().into()),
        ("Description", description.into()),
        ("Reclaimable", usage.reclaimable.to_string().into()),
        ("Size", human::fine_size(usage.size).into()),
        ("Bytes", usage.size.to_string().into()),
        ("CreatedAt", at(usage.created).into()),
        ("LastUsedSince", since.into()),
        ("LastUsedAt", at(usage.last_used).into()),
        ("UsedBy", usage.used_by.clone().unwrap_or_default().into()),
    ])
}
