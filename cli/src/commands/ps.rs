//! `gantry ps`: the containers of the store.

use std::process::ExitCode;

use gantry_cache::Store;
use gantry_runtime::{Containers, Record, Status};
use gantry_sandbox::Host;

use super::{Context, now};
use crate::privilege;
use crate::ui::filter::{Filter, Filters};
use crate::ui::listing::{Listing, Row, row};
use crate::ui::{Failure, human};

/// List containers
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry ps [OPTIONS]")]
pub(crate) struct PsArgs {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long = "filter", value_name = "filter")]
    filters: Vec<Filter>,
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "int")]
    last: Option<usize>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

const LISTING: Listing = Listing {
    columns: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("RunningFor", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Ports", "PORTS"),
        ("Names", "NAMES"),
        ("Size", "SIZE"),
    ],
    default: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    key: "ID",
};

/// The table of `-s`.
const WITH_SIZE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

/// How much of a command fits into the table.
const COMMAND_WIDTH: usize = 20;

pub(crate) fn run(args: &PsArgs, context: &Context) -> Result<ExitCode, Failure> {
    let default = if args.size { WITH_SIZE } else { LISTING.default };
    let listing = Listing { default, ..LISTING };
    let format = listing.format(args.format.as_deref(), args.quiet)?;
    let shows_size = args.size || args.format.as_deref().is_some_and(|text| text.contains(".Size"));
    // What a container wrote may belong to ids that exist in the user namespace only.
    let host = shows_size.then(gantry_sandbox::probe);
    if let Some(code) = host.as_ref().map(privilege::escalate).transpose()?.flatten() {
        return Ok(code);
    }
    let filters = Filters::new(&args.filters, &["ancestor", "exited", "id", "name", "status"])?;
    let store = context.existing_store()?;
    let all = match &store {
        Some(store) => Containers::new(store).list()?,
        None => Vec::new(),
    };
    let last = if args.latest { Some(1) } else { args.last };
    // A filter for a state asks for containers that have it, running or not.
    let any_state = args.all
        || last.is_some()
        || !filters.values("status").is_empty()
        || !filters.values("exited").is_empty();
    let shown: Vec<_> = all
        .iter()
        .filter(|(record, status)| {
            (any_state || *status == Status::Running) && allowed(&filters, record, *status)
        })
        .take(last.unwrap_or(usize::MAX))
        .collect();
    let mut rows = Vec::with_capacity(shown.len());
    for (record, status) in shown {
        let size = match (&host, &store) {
            (Some(host), Some(store)) => size(record, *status, store, host)?,
            _ => String::new(),
        };
        rows.push(row_of(record, *status, size, args));
    }
    listing.print(&format, rows, &context.ui)?;
    Ok(ExitCode::SUCCESS)
}

fn allowed(filters: &Filters, record: &Record, status: Status) -> bool {
    let exited = match status {
        Status::Exited(code) => Some(code.to_string()),
        Status::Running | Status::Created => None,
    };
    filters.allow("id", |id| record.id.starts_with(id))
        && filters.allow("name", |name| record.name.contains(name))
        && filters.allow("status", |wanted| state(status) == wanted)
        && filters.allow("exited", |code| exited.as_deref() == Some(code))
        && filters.allow("ancestor", |image| {
            record.image == image
                || record.image_id.trim_start_matches("sha256:").starts_with(image)
        })
}

/// What a container wrote, and that with its image (A3-03).
fn size(record: &Record, status: Status, store: &Store, host: &Host) -> Result<String, Failure> {
    let written = Containers::new(store).written(record, status, host)?;
    let image = store.images().resolve(&record.image_id)?;
    let (written, all) = (human::size(written), human::size(image.size.saturating_add(written)));
    Ok(format!("{written} (virtual {all})"))
}

fn row_of(record: &Record, status: Status, size: String, args: &PsArgs) -> Row {
    let created = seconds(record.created);
    let command = record.command.join(" ");
    let (id, command) = match args.no_trunc {
        true => (record.id.clone(), command),
        false => {
            let id = record.id.chars().take(12).collect();
            (id, human::ellipsis(&command, COMMAND_WIDTH))
        }
    };
    row([
        ("ID", id.into()),
        ("Image", record.image.as_str().into()),
        ("Command", format!("\"{command}\"").into()),
        ("RunningFor", human::ago(created, now()).into()),
        ("CreatedAt", human::timestamp(created).into()),
        ("State", state(status).into()),
        ("Status", status_text(record, status).into()),
        ("Ports", "".into()),
        ("Names", record.name.as_str().into()),
        ("Size", size.into()),
    ])
}

fn state(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Created => "created",
        Status::Exited(_) => "exited",
    }
}

fn status_text(record: &Record, status: Status) -> String {
    match status {
        Status::Running => {
            let started = seconds(record.started.unwrap_or(record.created));
            let up = u64::try_from(now().saturating_sub(started)).unwrap_or(0);
            format!("Up {}", human::duration(std::time::Duration::from_secs(up)))
        }
        Status::Created => "Created".to_owned(),
        Status::Exited(code) => match record.finished {
            Some(finished) => format!("Exited ({code}) {}", human::ago(seconds(finished), now())),
            None => format!("Exited ({code})"),
        },
    }
}

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
