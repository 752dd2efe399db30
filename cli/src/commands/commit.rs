//! `gantry commit`: an image of what a container is now.

use std::process::ExitCode;

use gantry_runtime::{Containers, Paused, Status};

use super::{Context, now, tag};
use crate::transfer::{self, Commit};
use crate::ui::Failure;
use crate::{privilege, settings, signals};

/// Create a new image from a container's changes
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]")]
pub(crate) struct CommitArgs {
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "string", default_value = "")]
    author: String,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long = "change", value_name = "list")]
    changes: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "string", default_value = "")]
    message: String,
    /// Disable pausing container during commit
    #[arg(long)]
    no_pause: bool,
    /// Pause container during commit
    #[arg(short, long, value_name = "bool", default_value_t = true,
          default_missing_value = "true", num_args = 0..=1, require_equals = true,
          action = clap::ArgAction::Set, hide = true, conflicts_with = "no_pause")]
    pause: bool,
}

pub(crate) fn run(args: &CommitArgs, context: &Context) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(tag::parse_target).transpose()?;
    // What a container wrote may belong to ids that exist in the user namespace only.
    let host = gantry_sandbox::probe();
    if let Some(code) = privilege::escalate(&host)? {
        return Ok(code);
    }
    let store = context.store()?;
    let containers = Containers::new(&store);
    let (record, status) = containers.find(&args.container)?;
    let pid = record.pid.filter(|_| status == Status::Running && args.pause && !args.no_pause);
    let paused = match pid {
        None => None,
        Some(pid) => {
            // Whoever is stopped in the midst of it would leave the container standing still.
            signals::watch(&signals::ending(), |_| {})?;
            let paused = Paused::all_below(pid);
            if paused.missed > 0 {
                context.ui.note(format_args!(
                    "WARNING: The container could not be paused as a whole: {} of its processes \
                     belong to other users",
                    paused.missed
                ));
            }
            Some(paused)
        }
    };
    let changes = containers.changes(&record.id, &host)?;
    let layer = match changes.is_empty() {
        true => None,
        false => Some((changes.commit(&containers)?, changes.size())),
    };
    drop(paused);
    let commit = Commit {
        record: &record,
        layer: layer.map(|((id, diff_id), size)| (id, diff_id, size)),
        changes: &args.changes,
        author: &args.author,
        message: &args.message,
        created: settings::source_date_epoch()?.unwrap_or_else(now),
        name: name.as_ref(),
    };
    let id = transfer::commit(&commit, &store)?;
    context.ui.line(id)?;
    store.sync()?;
    Ok(ExitCode::SUCCESS)
}
