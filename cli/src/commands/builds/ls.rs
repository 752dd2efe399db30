//! `gantry builds ls`.

use std::process::ExitCode;

use gantry_executor::{PastBuild, StepStatus};

use super::super::images::seconds;
use super::super::{Context, now};
use super::span;
use crate::ui::listing::{Listing, Row, row};
use crate::ui::{Failure, human};

/// List builds, the newest first
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry builds ls [OPTIONS]")]
pub(crate) struct LsArgs {
    /// Format output: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show build IDs
    #[arg(short, long)]
    quiet: bool,
}

const LISTING: Listing = Listing {
    columns: &[
        ("ID", "BUILD ID"),
        ("Name", "NAME"),
        ("Status", "STATUS"),
        ("CreatedSince", "CREATED AT"),
        ("CreatedAt", "CREATED AT"),
        ("Duration", "DURATION"),
        ("Steps", "STEPS"),
        ("Cached", "CACHED"),
        ("Context", "CONTEXT"),
        ("Dockerfile", "DOCKERFILE"),
        ("Target", "TARGET"),
        ("Error", "ERROR"),
    ],
    default: "{{.ID}}\t{{.Name}}\t{{.Status}}\t{{.CreatedSince}}\t{{.Duration}}\t{{.Cached}}/{{.Steps}}",
    key: "ID",
};

pub(crate) fn run(args: &LsArgs, context: &Context) -> Result<ExitCode, Failure> {
    let format = LISTING.format(args.format.as_deref(), args.quiet)?;
    let mut rows = Vec::new();
    if let Some(store) = context.existing_store()? {
        for entry in store.builds().list()? {
            match PastBuild::read(&store, entry) {
                Ok(past) => rows.extend(past.map(|past| row_of(&past, args.no_trunc))),
                Err(error) => context.ui.note(format_args!("WARNING: {error}")),
            }
        }
    }
    LISTING.print(&format, rows, &context.ui)?;
    Ok(ExitCode::SUCCESS)
}

/// What a build is called: its first tag, or its context's directory and target.
fn name(past: &PastBuild) -> String {
    let record = &past.record;
    if let Some(tag) = record.tags.first() {
        return tag.clone();
    }
    let context = record.context.trim_end_matches('/');
    let context = context.rsplit('/').next().unwrap_or(context);
    match &record.target {
        Some(target) => format!("{context} ({target})"),
        None => context.to_owned(),
    }
}

fn row_of(past: &PastBuild, no_trunc: bool) -> Row {
    let record = &past.record;
    let started = seconds(past.entry.started);
    let steps = || record.steps.iter().filter(|step| step.is_instruction());
    let cached = steps().filter(|step| step.status == StepStatus::Cached).count();
    let name = match no_trunc {
        true => name(past),
        false => human::ellipsis(&name(past), 40),
    };
    row([
        ("ID", past.entry.id.to_string().into()),
        ("Name", name.into()),
        ("Status", record.outcome.word().into()),
        ("CreatedSince", human::ago(started, now()).into()),
        ("CreatedAt", human::rfc3339(started).into()),
        ("Duration", span(record.took_us).into()),
        ("Steps", steps().count().to_string().into()),
        ("Cached", cached.to_string().into()),
        ("Context", record.context.clone().into()),
        ("Dockerfile", record.dockerfile.clone().into()),
        ("Target", record.target.clone().unwrap_or_default().into()),
        ("Error", record.error.clone().unwrap_or_default().into()),
    ])
}
