//! `gantry run`: a new container in the foreground.
//!
//! | file | owns |
//! |---|---|
//! | `request` | arguments as typed → a container as meant |
//! | `values` | flags whose values have parts: `-v`, `--mount`, `--env-file` |
//! | `relay` | the bytes and signals between this process and the container's |
//! | `terminal` | the terminal in raw mode, and put back |

mod relay;
mod request;
mod terminal;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use gantry_cache::{Store, StoreError};
use gantry_image::{Platform, Reference};
use gantry_runtime::{Container, RunRequest};
use gantry_sandbox::Host;

use super::{Context, pull};
use crate::privilege;
use crate::ui::{Failure, human};

/// Create and run a new container from an image
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gantry run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    disable_help_flag = true
)]
pub(crate) struct RunArgs {
    /// The image, then the command and its arguments
    #[arg(value_name = "IMAGE [COMMAND] [ARG...]", required = true, trailing_var_arg = true)]
    words: Vec<OsString>,
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long = "add-host", value_name = "list")]
    add_hosts: Vec<String>,
    /// Write the container ID to the file
    #[arg(long, value_name = "string")]
    cidfile: Option<PathBuf>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int")]
    cpu_period: Option<u64>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int")]
    cpu_quota: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int")]
    cpu_shares: Option<u64>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    cpus: Option<f64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_mems: Option<String>,
    /// Set custom DNS servers
    #[arg(long, value_name = "list")]
    dns: Vec<std::net::IpAddr>,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "string")]
    entrypoint: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "list")]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long = "env-file", value_name = "list")]
    env_files: Vec<PathBuf>,
    /// Print usage
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Container host name
    #[arg(short = 'h', long, value_name = "string")]
    hostname: Option<String>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = human::parse_size)]
    memory: Option<u64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Attach a filesystem mount to the container
    #[arg(long = "mount", value_name = "mount")]
    mounts: Vec<String>,
    /// Assign a name to the container
    #[arg(long, value_name = "string")]
    name: Option<String>,
    /// Connect a container to a network
    #[arg(long, value_name = "network", alias = "net", default_value = "bridge")]
    network: String,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Set platform if the registry is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Give extended privileges to this container
    #[arg(long)]
    privileged: bool,
    /// Pull image before running ("always", "missing", "never")
    #[arg(long, value_name = "string", default_value = "missing",
          value_parser = ["always", "missing", "never"])]
    pull: String,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    read_only: bool,
    /// Automatically remove the container when it exits
    #[arg(long)]
    rm: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes", value_parser = human::parse_size)]
    shm_size: Option<u64>,
    /// Mount a tmpfs directory
    #[arg(long, value_name = "list")]
    tmpfs: Vec<String>,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Ulimit options
    #[arg(long = "ulimit", value_name = "ulimit")]
    ulimits: Vec<String>,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Bind mount a directory or file of the host
    #[arg(short, long = "volume", value_name = "list")]
    volumes: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
}

/// What gantry's own errors exit with; all other codes are the container's.
const OWN_ERROR: u8 = 125;

pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<ExitCode, Failure> {
    inner(args, context).map_err(|failure| match failure.code() {
        1 => failure.with_code(OWN_ERROR),
        _ => failure,
    })
}

fn inner(args: &RunArgs, context: &Context) -> Result<ExitCode, Failure> {
    let request = request::make(args)?;
    let host = gantry_sandbox::probe();
    if let Some(code) = privilege::escalate(&host)? {
        return Ok(code);
    }
    let store = context.store()?;
    pull_if_wanted(args, &request, &store, &host, context)?;
    start(args, &request, &store, &host, context)
}

fn start(
    args: &RunArgs,
    request: &RunRequest,
    store: &Store,
    host: &Host,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.cidfile
        && path.symlink_metadata().is_ok()
    {
        return Err(Failure::text(format_args!(
            "container ID file found, make sure the other container isn't running or delete {}",
            path.display()
        )));
    }
    let mut warn = |text: String| context.ui.note(format_args!("WARNING: {text}"));
    let running = match Container::start(request, store, host, &mut warn) {
        Ok(running) => running,
        Err(error) => {
            let (code, hint) = (error.exit_code(), error.hint());
            let failure = Failure::new(error).with_code(code);
            return Err(match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            });
        }
    };
    if let Some(path) = &args.cidfile {
        fs_err::write(path, &running.container().record().id)?;
    }
    let status = relay::until_the_end(running, request.streams, store)?;
    Ok(privilege::exit_code(status.shell_code()))
}

/// Pulls the image if it isn't there, or is to be asked for anew (A1-02).
fn pull_if_wanted(
    args: &RunArgs,
    request: &RunRequest,
    store: &Store,
    host: &Host,
    context: &Context,
) -> Result<(), Failure> {
    if args.pull == "never" {
        return Ok(());
    }
    let wanted = args.platform.as_ref();
    let found = match store.images().resolve_for(&request.image, wanted) {
        Ok(_) => true,
        Err(StoreError::NoSuchImage { .. } | StoreError::NoPlatform { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    if found && args.pull == "missing" {
        return Ok(());
    }
    let name = request.image.parse::<Reference>()?.with_default_tag();
    if !found {
        context.ui.note(format_args!("Unable to find image '{}' locally", name.familiar()));
    }
    pull::pull_for_run(&name, wanted, store, host, context)?;
    Ok(())
}
