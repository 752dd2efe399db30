//! `gantry builds`: the builds of the past, and those that run. `gantry buildx history` is the same.

mod logs;
mod ls;
mod rm;
mod show;
pub(super) mod timing;

use std::process::ExitCode;

use gantry_cache::Store;
use gantry_executor::{BuildRecord, PastBuild, StepRecord};

use super::Context;
use crate::ui::Failure;

/// Look at running builds and those of the past
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Builds {
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    #[command(visible_alias = "inspect")]
    Show(show::ShowArgs),
    Logs(logs::LogsArgs),
    #[command(visible_alias = "remove")]
    Rm(rm::RmArgs),
}

impl Builds {
    pub(crate) fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match self {
            Self::Ls(args) => ls::run(args, context),
            Self::Show(args) => show::run(args, context),
            Self::Logs(args) => logs::run(args, context),
            Self::Rm(args) => rm::run(args, context),
        }
    }
}

/// Finds a build of the past in a store that is there.
pub(super) fn find(name: Option<&str>, context: &Context) -> Result<(Store, PastBuild), Failure> {
    let store = context.existing_store()?.ok_or_else(no_builds)?;
    settle(&store);
    let past = PastBuild::find(&store, name)?;
    Ok((store, past))
}

/// Has the history know builds whose process was killed; where it can't be written, the next build
/// that runs something does it.
fn settle(store: &Store) {
    let _ = store.builds().settle();
}

fn no_builds() -> Failure {
    Failure::text("There is no build in the history").with_hint("Run `gantry build` first")
}

/// Finds a step by its number, as `builds show` and `--progress=plain` have it, or by a piece of its
/// title.
pub(super) fn find_step<'a>(
    record: &'a BuildRecord,
    text: &str,
) -> Result<(usize, &'a StepRecord), Failure> {
    let steps = || record.steps.iter().enumerate();
    let number = text.strip_prefix('#').unwrap_or(text).parse::<usize>().ok();
    if let Some(number) = number {
        let step = number.checked_sub(1).and_then(|index| steps().nth(index));
        return step.ok_or_else(|| Failure::text(format_args!("There is no step #{number}")));
    }
    let place = |step: &StepRecord| {
        let (place, _) = step.title.strip_prefix('[')?.split_once(']')?;
        Some(place.to_owned())
    };
    let exact: Vec<_> = steps().filter(|(_, step)| place(step).as_deref() == Some(text)).collect();
    let found = match exact.is_empty() {
        true => steps().filter(|(_, step)| step.title.contains(text)).collect(),
        false => exact,
    };
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::text(format_args!("There is no step `{text}` in that build"))
            .with_hint("`gantry builds show` lists them")),
        [(first, _), (second, _), ..] => {
            Err(Failure::text(format_args!("`{text}` is in the titles of several steps"))
                .with_hint(format!("Take a number, such as {} or {}", first + 1, second + 1)))
        }
    }
}

/// A title on one line.
pub(super) fn title(step: &StepRecord) -> String {
    crate::progress::harmless(step.title.lines().next().unwrap_or_default().as_bytes())
}

/// A span as people read it: `0.3s`, `12.1s`, `3m 20s`.
pub(super) fn span(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        0..60 => format!("{}.{}s", seconds, micros % 1_000_000 / 100_000),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}
