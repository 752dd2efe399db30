//! `build --dry-run`: what would run, and why.

use std::process::ExitCode;
use std::sync::Arc;

use gantry_executor::{BuildRequest, PlannedStep};
use gantry_sandbox::Host;
use gantry_solver::Fate;
use serde_json::{Map, Value, json};

use super::super::why::words;
use super::outcome::Shown;
use super::{Context, outcome};
use crate::progress::harmless;
use crate::ui::Failure;

/// How the answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    Text,
    Json,
}

/// Flags that explain a build, or say how it is gone about.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// Only say what would run and why (`--dry-run=json`)
    #[arg(long, value_enum, value_name = "form", num_args = 0..=1, require_equals = true,
          default_missing_value = "text")]
    pub(super) dry_run: Option<Form>,
    /// Take files of the context as git would check them out: what umask made of modes does not count
    #[arg(long)]
    pub(super) stable_modes: bool,
    /// Say at the end where the time went
    #[arg(long)]
    pub(super) timing: bool,
}

pub(super) fn run(
    form: Form,
    request: BuildRequest,
    context: &Context,
    host: &Arc<Host>,
    how: &Shown,
) -> Result<ExitCode, Failure> {
    let Some(store) = context.existing_store()? else {
        return Err(Failure::text("There is no store yet, so that every step would run"));
    };
    let steps = gantry_executor::plan(request, &store, host)
        .map_err(|error| outcome::failed(error, how, false))?;
    match form {
        Form::Text => context.ui.write(&text(&steps))?,
        Form::Json => context.ui.line(serde_json::to_string_pretty(&document(&steps))?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Cached => "cached",
        Fate::Runs => "runs",
        Fate::MayRun => "may run",
    }
}

fn text(steps: &[PlannedStep]) -> String {
    let mut text = String::new();
    for step in steps {
        let title = harmless(step.title.lines().next().unwrap_or_default().as_bytes());
        text.push_str(&format!("{:<8} {title}\n", word(step.fate)));
        for line in step.why.iter().flat_map(words::lines) {
            text.push_str(&format!("           {line}\n"));
        }
    }
    let count = |fate| steps.iter().filter(|step| step.fate == fate).count();
    let may = match count(Fate::MayRun) {
        0 => String::new(),
        more => format!(", and {more} more may"),
    };
    text.push_str(&format!("{} of {} steps would run{may}\n", count(Fate::Runs), steps.len()));
    text
}

fn document(steps: &[PlannedStep]) -> Value {
    let step = |step: &PlannedStep| {
        let mut document = Map::new();
        document.insert("title".to_owned(), step.title.as_str().into());
        document.insert("fate".to_owned(), word(step.fate).replace(' ', "-").into());
        document.extend(step.why.iter().flat_map(words::document));
        Value::Object(document)
    };
    json!({ "steps": steps.iter().map(step).collect::<Vec<_>>() })
}
