//! `gantry image prune`: images that nothing needs, and what only they held.

use std::process::ExitCode;
use std::time::SystemTime;

use gantry_cache::{Image, Pin, PruneOptions, Store};

use super::images::{created, point_in_time, read_config};
use super::{Context, prune};
use crate::privilege;
use crate::ui::filter::{Filter, Filters};
use crate::ui::{Failure, human};

/// Remove unused images
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry image prune [OPTIONS]")]
pub(crate) struct ImagePruneArgs {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Which images, as docker's filters say it.
    #[arg(
        long = "filter",
        value_name = "filter",
        help = "Provide filter values (e.g., \"until=<timestamp>\")"
    )]
    filters: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

/// Which images go.
struct Selection {
    all: bool,
    until: Option<SystemTime>,
    filters: Filters,
}

pub(crate) fn run(args: &ImagePruneArgs, context: &Context) -> Result<ExitCode, Failure> {
    // Trees may hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let selection = selection(args)?;
    let warning = match selection.all {
        true => {
            "WARNING! This will remove all images without at least one container associated to \
             them."
        }
        false => "WARNING! This will remove all dangling images.",
    };
    if !args.force && !prune::ask(warning, context)? {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(store) = context.existing_store()? else {
        context.ui.line("Total reclaimed space: 0B")?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut told = Vec::new();
    // Images for other platforms may go once those are gone that they stay with.
    for _ in 0..2 {
        for image in store.images().list()? {
            if !selection.takes(&image, &store)? {
                continue;
            }
            let removed = store.images().remove(&image.id.to_string(), true)?;
            let untagged = removed.untagged.iter();
            told.extend(untagged.map(|name| format!("untagged: {}", name.familiar())));
            let gone = removed.deleted.into_iter().chain(removed.others);
            told.extend(gone.map(|id| format!("deleted: {id}")));
        }
    }
    if !told.is_empty() {
        context.ui.line(format_args!("Deleted Images:\n{}\n", told.join("\n")))?;
    }
    let pruned = store.prune(&PruneOptions { orphans: true, ..PruneOptions::default() })?;
    for failure in &pruned.failures {
        context.ui.note(format_args!("WARNING: {failure}"));
    }
    context.ui.line(format_args!("Total reclaimed space: {}", human::size(pruned.bytes)))?;
    Ok(if pruned.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn selection(args: &ImagePruneArgs) -> Result<Selection, Failure> {
    let filters = Filters::new(&args.filters, &["dangling", "label", "label!", "until"])?;
    let until = match filters.values("until").last() {
        Some(text) => Some(point_in_time(text)?),
        None => None,
    };
    // `dangling=false` is docker's older spelling of `--all`.
    let all = args.all || filters.flag("dangling")? == Some(false);
    Ok(Selection { all, until, filters })
}

impl Selection {
    fn takes(&self, image: &Image, store: &Store) -> Result<bool, Failure> {
        if (image.names.is_empty() && !image.is_dangling())
            || !(self.all || image.is_dangling())
            || self.until.is_some_and(|until| created(image) > until)
            || !store.pins().owners(&Pin::Image(image.id))?.is_empty()
        {
            return Ok(false);
        }
        let unwanted = self.filters.values("label!");
        if self.filters.values("label").is_empty() && unwanted.is_empty() {
            return Ok(true);
        }
        let config = read_config(image, store)?;
        let labels = &config.value().config.labels;
        let get = |key: &str| labels.get(key).map(String::as_str);
        let spared = unwanted.iter().any(|unwanted| match unwanted.split_once('=') {
            Some((key, value)) => get(key) == Some(value),
            None => get(unwanted).is_some(),
        });
        Ok(self.filters.allow_labels(get) && !spared)
    }
}
