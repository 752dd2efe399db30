//! `gantry prune`: frees the space that the build cache takes.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use gantry_cache::{Budget, Filter as Condition, Keeping, PruneOptions, PruneReport};

use super::images::seconds;
use super::{Context, now};
use crate::privilege;
use crate::ui::filter::{Filter, Filters};
use crate::ui::{Failure, human};

/// Remove build cache
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry prune [OPTIONS]")]
pub(crate) struct PruneArgs {
    /// Include what is dear to make again: cache mounts, and steps of images that are kept
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g., "until=24h")
    #[arg(long = "filter", value_name = "filter")]
    filters: Vec<Filter>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Maximum amount of disk space allowed to keep for cache
    #[arg(long, value_name = "bytes", value_parser = human::parse_size, visible_alias = "max-size")]
    max_used_space: Option<u64>,
    /// Keep what was used within this time, such as `12h` or `7d`, even beyond a budget
    #[arg(long, value_name = "age", value_parser = human::parse_duration)]
    keep: Option<Duration>,
    /// Hold the limits from now on, also while builds run; without any, prune nothing by itself
    #[arg(long, conflicts_with = "dry_run")]
    remember: bool,
    /// Forget what `--remember` said: hold the limits that a store has by itself
    #[arg(long, conflicts_with_all = ["dry_run", "remember"])]
    defaults: bool,
    /// Target amount of free disk space after pruning
    #[arg(long, value_name = "bytes", value_parser = human::parse_size)]
    min_free_space: Option<u64>,
    /// Amount of disk space always allowed to keep for cache
    #[arg(long, value_name = "bytes", value_parser = human::parse_size, alias = "keep-storage")]
    reserved_space: Option<u64>,
    /// Say why each entry is removed
    #[arg(long)]
    verbose: bool,
}

pub(crate) fn run(args: &PruneArgs, context: &Context) -> Result<ExitCode, Failure> {
    // Trees may hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let options = options(args)?;
    if args.defaults {
        context.store()?.set_keeping(&Keeping::Defaults)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.remember {
        let store = context.store()?;
        let budget = Budget {
            max_size: args.max_used_space,
            min_free: args.min_free_space,
            reserved: args.reserved_space,
            keep: args.keep,
        };
        store.set_keeping(&match budget.max_size.or(budget.min_free) {
            Some(_) => Keeping::Budget(budget),
            None => Keeping::Nothing,
        })?;
        let pruned = store.keep_to_budget()?;
        report(&pruned, args, context)?;
        warn_if_over(&pruned, &budget, context);
        return Ok(if pruned.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let Some(store) = context.existing_store()? else {
        report(&PruneReport::default(), args, context)?;
        return Ok(ExitCode::SUCCESS);
    };
    if !args.force && !args.dry_run && !confirmed(args.all, context)? {
        return Ok(ExitCode::SUCCESS);
    }
    let pruned = store.prune(&options)?;
    report(&pruned, args, context)?;
    Ok(if pruned.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &PruneArgs) -> Result<PruneOptions, Failure> {
    let filters = Filters::new(&args.filters, &["description", "id", "type", "until"])?;
    let mut conditions = Vec::new();
    for text in filters.values("until") {
        let span = human::parse_duration(text).map_err(Failure::usage)?;
        conditions.push(Condition::Until(span));
    }
    conditions.extend(filters.values("id").iter().cloned().map(Condition::Id));
    conditions.extend(filters.values("description").iter().cloned().map(Condition::Description));
    for text in filters.values("type") {
        conditions.push(Condition::Kind(text.parse()?));
    }
    Ok(PruneOptions {
        all: args.all,
        orphans: false,
        temporary: false,
        filters: conditions,
        keep: args.keep,
        max_used_space: args.max_used_space,
        min_free_space: args.min_free_space,
        reserved_space: args.reserved_space,
        dry_run: args.dry_run,
        now: None,
    })
}

fn confirmed(all: bool, context: &Context) -> Result<bool, Failure> {
    let what = if all { "all build cache" } else { "all dangling build cache" };
    ask(&format!("WARNING! This will remove {what}."), context)
}

/// Asks. Nobody there to answer means no.
pub(super) fn ask(warning: &str, context: &Context) -> Result<bool, Failure> {
    context.ui.note(format_args!("{warning} Are you sure you want to continue? [y/N] "));
    if !io::stdin().is_terminal() {
        return Err(Failure::text("There is no terminal to confirm this on")
            .with_hint("Give `--force` to remove without asking"));
    }
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Says so if what is in use is more than the budget.
fn warn_if_over(pruned: &PruneReport, budget: &Budget, context: &Context) {
    if let Some(most) = budget.max_size
        && pruned.remaining > most
    {
        context.ui.note(format_args!(
            "WARNING: {} are in use or to be kept, which is more than {}",
            human::fine_size(pruned.remaining),
            human::fine_size(most)
        ));
    }
}

fn report(pruned: &PruneReport, args: &PruneArgs, context: &Context) -> Result<(), Failure> {
    for freed in &pruned.freed {
        let size = human::fine_size(freed.size);
        let (id, kind) = (&freed.id, freed.kind.name());
        // A plan without reasons is no plan.
        match args.verbose || args.dry_run {
            true => {
                let used = freed.last_used.map_or_else(String::new, |time| {
                    format!(", last used {}", human::ago(seconds(time), now()))
                });
                context.ui.line(format_args!(
                    "{id}\t{kind}\t{size}\t{}\t{}{used}",
                    freed.description, freed.reason
                ))?;
            }
            false => context.ui.line(format_args!("{id}\t{kind}\t{size}"))?,
        }
    }
    for failure in &pruned.failures {
        context.ui.note(format_args!("WARNING: {failure}"));
    }
    context.ui.line(format_args!("Total:\t{}", human::fine_size(pruned.bytes)))?;
    Ok(())
}
