//! `gantry search`: repositories of a registry by name.

use std::process::ExitCode;

use gantry_solver::CancelToken;

use super::Context;
use crate::ui::filter::{Filter, Filters};
use crate::ui::listing::{Listing, row};
use crate::ui::{Failure, human};

/// Search Docker Hub (or the registry in front of the term) for images
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry search [OPTIONS] TERM")]
pub(crate) struct SearchArgs {
    #[arg(value_name = "TERM")]
    term: String,
    /// Filter output based on conditions provided
    #[arg(short, long = "filter", value_name = "filter")]
    filters: Vec<Filter>,
    /// Pretty-print search using a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Max number of search results
    #[arg(long, value_name = "int", default_value_t = 25)]
    limit: usize,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
}

const LISTING: Listing = Listing {
    columns: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
        ("IsAutomated", "AUTOMATED"),
    ],
    default: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    key: "Name",
};

/// How much of a description fits into the table.
const DESCRIPTION_WIDTH: usize = 45;

pub(crate) fn run(args: &SearchArgs, context: &Context) -> Result<ExitCode, Failure> {
    let format = LISTING.format(args.format.as_deref(), false)?;
    let filters = Filters::new(&args.filters, &["is-automated", "is-official", "stars"])?;
    let (official, automated) = (filters.flag("is-official")?, filters.flag("is-automated")?);
    let stars = match filters.values("stars").last() {
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| Failure::text(format_args!("invalid filter 'stars={text}'")))?,
        None => 0,
    };
    // As in a name: what has a dot or a colon, or is `localhost`, is a registry.
    let (registry, term) = match args.term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("docker.io", args.term.as_str()),
    };
    let found = context.registry().search(registry, term, args.limit, &CancelToken::new())?;
    let ok = |yes: bool| if yes { "[OK]" } else { "" };
    let rows = found
        .iter()
        .filter(|hit| hit.star_count >= stars)
        .filter(|hit| official.is_none_or(|wanted| hit.is_official == wanted))
        .filter(|hit| automated.is_none_or(|wanted| hit.is_automated == wanted))
        .map(|hit| {
            let description = hit.description.replace(['\n', '\r', '\t'], " ");
            let description = match args.no_trunc {
                true => description,
                false => human::ellipsis(&description, DESCRIPTION_WIDTH),
            };
            row([
                ("Name", hit.name.as_str().into()),
                ("Description", description.into()),
                ("StarCount", hit.star_count.into()),
                ("IsOfficial", ok(hit.is_official).into()),
                ("IsAutomated", ok(hit.is_automated).into()),
            ])
        })
        .collect();
    LISTING.print(&format, rows, &context.ui)?;
    Ok(ExitCode::SUCCESS)
}
