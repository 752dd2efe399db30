//! `gantry builds ls`.

use std::process::ExitCode;

use gantry_executor::{Outcome, PastBuild, StepStatus};

use super::super::images::seconds;
use super::super::{Context, now};
use super::{settle, span};
use crate::ui::listing::{Listing, Row, row};
use crate::ui::{Failure, human};

/// List builds, running ones too, the newest first
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
        settle(&store);
        // First, so that one that ends meanwhile is listed once at least.
        let mut running = PastBuild::running(&store)?;
        let ended = store.builds().list()?;
        running.retain(|past| ended.iter().all(|entry| entry.id != past.entry.id));
        let mut running = running.into_iter().peekable();
        for entry in ended {
            let newer = |past: &PastBuild| past.entry.started > entry.started;
            while let Some(past) = running.next_if(newer) {
                rows.push(row_of(&past, args.no_trunc));
            }
            match PastBuild::read(&store, entry) {
                Ok(past) => rows.extend(past.map(|past| row_of(&past, args.no_trunc))),
                Err(error) => context.ui.note(format_args!("WARNING: {error}")),
            }
        }
        rows.extend(running.map(|past| row_of(&past, args.no_trunc)));
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
    // What is known when a build ends is not known before.
    let known = |is: bool, text: String| if is { text } else { "-".to_owned() };
    let ended = record.outcome.is_end();
    row([
        ("ID", past.entry.id.to_string().into()),
        ("Name", name.into()),
        ("Status", record.outcome.word().into()),
        ("CreatedSince", human::ago(started, now()).into()),
        ("CreatedAt", human::rfc3339(started).into()),
        ("Duration", known(record.outcome != Outcome::Killed, span(record.took_us)).into()),
        ("Steps", known(ended, steps().count().to_string()).into()),
        ("Cached", known(ended, cached.to_string()).into()),
        ("Context", record.context.clone().into()),
        ("Dockerfile", record.dockerfile.clone().into()),
        ("Target", record.target.clone().unwrap_or_default().into()),
        ("Error", record.error.clone().unwrap_or_default().into()),
    ])
}
