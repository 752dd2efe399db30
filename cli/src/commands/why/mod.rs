//! `gantry why`: for each step that ran, what differed from its nearest earlier run.

pub(super) mod words;

use std::process::ExitCode;

use gantry_executor::{PastBuild, StepRecord, StepStatus};
use serde_json::{Value, json};

use super::Context;
use super::builds::{find, find_step, title};
use crate::ui::Failure;

/// Say why steps of a build ran instead of coming from the cache
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry why [OPTIONS] [STEP]")]
pub(crate) struct WhyArgs {
    /// A step's number or a piece of its title; all that ran if left out
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// The build: the beginning of its ID, or `^1` for the one before the last
    #[arg(long, value_name = "BUILD")]
    build: Option<String>,
    /// Format output: 'text' or 'json'
    #[arg(long, value_name = "string", default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

pub(crate) fn run(args: &WhyArgs, context: &Context) -> Result<ExitCode, Failure> {
    let (_, past) = find(args.build.as_deref(), context)?;
    let steps: Vec<(usize, &StepRecord)> = match &args.step {
        Some(text) => vec![find_step(&past.record, text)?],
        None => {
            let steps = past.record.steps.iter().enumerate();
            steps.filter(|(_, step)| step.is_instruction() && step.why.is_some()).collect()
        }
    };
    match args.format.as_str() {
        "json" => context.ui.line(serde_json::to_string_pretty(&document(&past, &steps))?)?,
        _ => context.ui.write(&text(&past, &steps))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(past: &PastBuild, steps: &[(usize, &StepRecord)]) -> String {
    if steps.is_empty() {
        let ran = past.record.steps.iter().any(StepRecord::is_instruction);
        return match ran {
            true => "Every step came from the cache\n".to_owned(),
            false => "The build came to no step\n".to_owned(),
        };
    }
    let mut text = String::new();
    for (number, step) in steps {
        text.push_str(&format!("#{} {}\n", number + 1, title(step)));
        match (&step.why, step.status) {
            (Some(why), _) => {
                for line in words::lines(why) {
                    text.push_str(&format!("  {line}\n"));
                }
            }
            (None, StepStatus::Cached) => text.push_str("  It came from the cache\n"),
            (None, _) => text.push_str("  It is looked at in every build\n"),
        }
    }
    text
}

fn document(past: &PastBuild, steps: &[(usize, &StepRecord)]) -> Value {
    let step = |(number, step): &(usize, &StepRecord)| {
        let mut document = json!({
            "step": number + 1,
            "title": step.title,
            "status": step.status.word(),
        });
        if let (Some(why), Value::Object(document)) = (&step.why, &mut document) {
            document.extend(words::document(why));
        }
        document
    };
    json!({
        "build": past.entry.id.to_string(),
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
    })
}
