//! `gantry fsck`: the store held against its promises.

use std::process::ExitCode;

use gantry_cache::{FsckOptions, OpenOptions, Severity, Store, StoreError};

use super::Context;
use crate::privilege;
use crate::ui::Failure;

/// Check the store, and repair it on request
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry fsck [OPTIONS]")]
pub(crate) struct FsckArgs {
    /// Read every byte, and not only names and sizes
    #[arg(long)]
    deep: bool,
    /// Remove what is broken, so that it is made again, and what was left behind
    #[arg(long)]
    repair: bool,
}

pub(crate) fn run(args: &FsckArgs, context: &Context) -> Result<ExitCode, Failure> {
    // Trees may hold files of ids that exist in the user namespace only.
    if let Some(code) = privilege::escalate(&gantry_sandbox::probe())? {
        return Ok(code);
    }
    let root = context.root()?;
    let check = || match Store::open_existing(&root)? {
        Some(store) => store.fsck(FsckOptions { deep: args.deep, repair: args.repair }).map(Some),
        None => Ok(None),
    };
    let report = match check() {
        Err(StoreError::Damaged { path, .. }) if args.repair => {
            let aside = Store::set_aside(&root)?;
            context.ui.line(format_args!(
                "damage: `{}` can't be read: it lies at `{}` now, and a new one takes its place",
                path.display(),
                aside.display()
            ))?;
            Store::open(&root, OpenOptions { create: true, ..OpenOptions::default() })?;
            check()?
        }
        report => report?,
    };
    let Some(report) = report else {
        context.ui.line("There is no store yet")?;
        return Ok(ExitCode::SUCCESS);
    };
    for problem in &report.problems {
        let severity = match problem.severity {
            Severity::Leftover => "leftover",
            Severity::Damage => "damage",
        };
        let done = if problem.repaired { " (removed)" } else { "" };
        context.ui.line(format_args!("{severity}: {}: {}{done}", problem.object, problem.what))?;
    }
    context.ui.line(format_args!(
        "Checked {} images, {} records, {} layers and {} blobs",
        report.images, report.records, report.layers, report.blobs
    ))?;
    let mended = report.problems.iter().all(|problem| problem.repaired);
    if report.is_clean() || mended {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.repair {
        context.ui.note("hint: `gantry fsck --repair` removes what is broken; it is built again");
    }
    Ok(ExitCode::FAILURE)
}
