//! `gantry builds show`.

use std::process::ExitCode;

use gantry_executor::{Outcome, PastBuild, StepStatus, Timing};
use serde_json::{Value, json};

use super::super::Context;
use super::super::images::seconds;
use super::{find, span, timing, title};
use crate::ui::listing::print_one;
use crate::ui::table::align;
use crate::ui::{Failure, human};

/// Show what happened in a build: inputs, steps, errors, where the time went
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry builds show [OPTIONS] [BUILD]")]
pub(crate) struct ShowArgs {
    /// The beginning of a build's ID, or `^1` for the one before the last; the last one if left out
    #[arg(value_name = "BUILD")]
    build: Option<String>,
    /// Format output: 'pretty', 'json' or a Go template
    #[arg(long, value_name = "string", default_value = "pretty")]
    format: String,
}

pub(crate) fn run(args: &ShowArgs, context: &Context) -> Result<ExitCode, Failure> {
    let (_, past) = find(args.build.as_deref(), context)?;
    match args.format.as_str() {
        "pretty" | "table" | "text" => context.ui.write(&pretty(&past))?,
        format => print_one(format, &document(&past)?, &context.ui)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The record with its name, its beginning, and where the time went.
fn document(past: &PastBuild) -> Result<Value, Failure> {
    let mut document = json!({
        "id": past.entry.id.to_string(),
        "started": human::rfc3339(seconds(past.entry.started)),
    });
    document["timing"] = timing::document(&past.record);
    if let (Value::Object(document), Value::Object(record)) =
        (&mut document, serde_json::to_value(&past.record)?)
    {
        document.extend(record);
    }
    Ok(document)
}

fn pretty(past: &PastBuild) -> String {
    let record = &past.record;
    let steps = || record.steps.iter().filter(|step| step.is_instruction());
    let cached = steps().filter(|step| step.status == StepStatus::Cached).count();
    let count = steps().count();
    let percent = (100 * cached).checked_div(count).unwrap_or(0);
    let ended = record.outcome.is_end();
    let built = if ended { format!("{count} ({percent}% cached)") } else { String::new() };
    let duration = match record.outcome {
        Outcome::Killed => String::new(),
        _ => span(record.took_us),
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut lines = Vec::new();
    for (name, value) in [
        ("Build:", past.entry.id.to_string()),
        ("Status:", record.outcome.word().to_owned()),
        ("Context:", record.context.clone()),
        ("Dockerfile:", record.dockerfile.clone()),
        ("Target:", text(&record.target)),
        ("Platform:", text(&record.platform)),
        ("Build arguments:", record.args.join(", ")),
        ("Tags:", record.tags.join(", ")),
        ("Image:", text(&record.image)),
        ("Started:", human::timestamp(seconds(past.entry.started))),
        ("Duration:", duration),
        ("Build steps:", built),
    ] {
        if !value.is_empty() {
            lines.push(format!("{name}\t{}", crate::progress::harmless(value.as_bytes())));
        }
    }
    let mut pretty = align(&lines);
    if let Some(error) = &record.error {
        pretty.push_str("\nError:\n");
        for line in error.lines() {
            pretty.push_str(&format!("  {}\n", crate::progress::harmless(line.as_bytes())));
        }
    }
    if !ended {
        return pretty;
    }
    let mut lines = vec!["#\tSTATUS\tTIME\tSTEP".to_owned()];
    for (number, step) in record.steps.iter().enumerate() {
        let took = match step.status {
            StepStatus::Cached => String::new(),
            _ => span(step.took_us),
        };
        let status = match step.is_instruction() || step.status != StepStatus::Ran {
            true => step.status.word(),
            false => "done",
        };
        lines.push(format!("{}\t{status}\t{took}\t{}", number + 1, title(step)));
        if let Some(why) = &step.why {
            lines.push(format!("\t\t\t  because {why}"));
        }
    }
    pretty.push('\n');
    pretty.push_str(&align(&lines));
    pretty.push('\n');
    pretty.push_str(&timing::text(record, &Timing::of(record)));
    pretty
}
