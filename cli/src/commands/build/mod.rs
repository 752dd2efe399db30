//! `gantry build`: a Dockerfile and its context made into an image.
//!
//! | file | owns |
//! |---|---|
//! | `source` | where Dockerfile and context come from |
//! | `output` | `--output` |
//! | `values` | flags whose values have parts |
//! | `request` | arguments as typed → a build as meant |
//! | `outcome` | what is said and written when it is over |

mod outcome;
mod output;
mod request;
mod source;
pub(crate) mod values;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_executor::{BuildError, BuildOutcome, BuildRequest};
use gantry_image::Reference;
use gantry_sandbox::Host;
use gantry_solver::CancelToken;
use gantry_solver::op::Ulimit;

use super::Context;
use crate::progress::{Mode, Progress, Warnings};
use crate::ui::{Failure, human};
use crate::{privilege, signals};
use output::OutputSpec;
use values::{ExtraHost, KeyValue, SecretSource};

/// Build an image from a Dockerfile
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry build [OPTIONS] PATH | -")]
pub(crate) struct BuildArgs {
    /// Directory of the build context; `-` reads a tar, or a Dockerfile without a context
    #[arg(value_name = "PATH | -")]
    context: Option<String>,
    /// Add a custom host-to-IP mapping (format: `host:ip`)
    #[arg(long = "add-host", value_name = "strings")]
    add_hosts: Vec<ExtraHost>,
    /// Allow extra privileged entitlement (e.g., `network.host`, `security.insecure`)
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    allow: Vec<String>,
    /// Set build-time variables
    #[arg(long = "build-arg", value_name = "stringArray")]
    build_args: Vec<KeyValue>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long = "build-context", value_name = "stringArray")]
    build_contexts: Vec<String>,
    /// Name of the Dockerfile (default: `PATH/Dockerfile`)
    #[arg(short, long, value_name = "string")]
    file: Option<String>,
    /// Write the image ID to a file
    #[arg(long, value_name = "string")]
    iidfile: Option<PathBuf>,
    /// Set metadata for an image
    #[arg(long = "label", value_name = "stringArray")]
    labels: Vec<KeyValue>,
    /// Shorthand for `--output=type=docker`
    #[arg(long)]
    load: bool,
    /// Write build result metadata to a file
    #[arg(long, value_name = "string")]
    metadata_file: Option<PathBuf>,
    /// Set the networking mode for the `RUN` instructions during build
    #[arg(long, value_name = "string", default_value = "default")]
    network: String,
    /// Do not use cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Do not cache specified stages
    #[arg(long, value_name = "stringArray", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Output destination (format: `type=local,dest=path`)
    #[arg(short, long = "output", value_name = "stringArray")]
    outputs: Vec<OutputSpec>,
    /// Set target platform for build
    #[arg(long, value_name = "stringArray", value_delimiter = ',')]
    platform: Vec<String>,
    /// Set type of progress output. Use plain to show container output
    #[arg(long, value_name = "string", env = "BUILDKIT_PROGRESS", hide_env_values = true)]
    progress: Option<Mode>,
    /// Exit with the exit code of the step that failed, instead of 1
    #[arg(long)]
    propagate_exit_code: bool,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pull: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    quiet: bool,
    /// Secret to expose to the build (format: `id=mysecret[,src=/local/secret]`)
    #[arg(long = "secret", value_name = "stringArray")]
    secrets: Vec<SecretSource>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "bytes", value_parser = human::parse_size)]
    shm_size: Option<u64>,
    /// Image identifier (format: `[registry/]repository[:tag]`)
    #[arg(short, long = "tag", value_name = "stringArray")]
    tags: Vec<String>,
    /// Set the target build stage to build
    #[arg(long, value_name = "string")]
    target: Option<String>,
    /// Ulimit options
    #[arg(long = "ulimit", value_name = "ulimit", value_parser = values::parse_ulimit)]
    ulimits: Vec<Ulimit>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    legacy: Legacy,
}

/// What `RUN` steps may take of the machine.
#[derive(Debug, clap::Args)]
struct Limits {
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = human::parse_size, hide = true)]
    memory: Option<u64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes", allow_hyphen_values = true, hide = true)]
    memory_swap: Option<String>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int", hide = true)]
    cpu_shares: Option<u64>,
    /// Limit the CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int", hide = true)]
    cpu_period: Option<u64>,
    /// Limit the CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", hide = true)]
    cpu_quota: Option<i64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", hide = true)]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", hide = true)]
    cpuset_mems: Option<String>,
    /// Set the parent cgroup for the `RUN` instructions during build
    #[arg(long, value_name = "string", hide = true)]
    cgroup_parent: Option<String>,
}

/// Flags of docker's classic builder that mean nothing here, and are said to.
#[derive(Debug, clap::Args)]
struct Legacy {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<bool>,
    #[arg(long, hide = true)]
    compress: bool,
    #[arg(long, hide = true)]
    squash: bool,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    /// How root filesystems are put together: `auto` or `copying`.
    #[arg(long, hide = true, env = "GANTRY_SNAPSHOTTER", default_value = "auto")]
    snapshotter: String,
}

impl Legacy {
    /// The flags that were given in vain.
    fn ignored(&self) -> Vec<&'static str> {
        let given = [
            (self.rm.is_some(), "--rm"),
            (self.force_rm.is_some(), "--force-rm"),
            (self.compress, "--compress"),
            (self.squash, "--squash"),
            (self.isolation.is_some(), "--isolation"),
            (!self.security_opt.is_empty(), "--security-opt"),
        ];
        given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }
}

pub(crate) fn run(args: &BuildArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mode = mode(args)?;
    let host = Arc::new(gantry_sandbox::probe());
    let path = args.context.as_deref().ok_or_else(|| {
        Failure::text("please specify build context (e.g. \".\" for the current directory)")
    })?;
    let reads_stdin = source::uses_stdin(path, args.file.as_deref());
    // Stdin can be read once only: by the process in which steps can run.
    if reads_stdin && let Some(code) = privilege::escalate(&host)? {
        return Ok(code);
    }
    let request = request::make(args, path)?;
    for flag in args.legacy.ignored() {
        context.ui.note(format_args!("WARNING: {flag} has no effect and is ignored"));
    }
    outcome::prepare(args)?;
    let tags = request.tags.clone();
    let progress = Progress::start(mode);
    match build(request, context, &host, &progress) {
        Err(Ended::NeedsUserNamespace) => privilege::again(),
        Ok(built) => {
            progress.finish(match context.debug {
                true => Warnings::Elsewhere,
                false => Warnings::Brief(outcome::warnings(&built)),
            });
            outcome::succeeded(&built, &tags, args, context)
        }
        Err(Ended::Failed(error)) => {
            progress.finish(Warnings::Brief(Vec::new()));
            Err(outcome::failed(*error, args.propagate_exit_code))
        }
        Err(Ended::Refused(failure)) => Err(failure),
    }
}

/// How a build ended that made nothing.
enum Ended {
    NeedsUserNamespace,
    Failed(Box<BuildError>),
    Refused(Failure),
}

fn build(
    request: BuildRequest,
    context: &Context,
    host: &Arc<Host>,
    progress: &Progress,
) -> Result<BuildOutcome, Ended> {
    let store = context.store().map_err(Ended::Refused)?;
    let cancel = CancelToken::new();
    cancel_on_signals(&cancel).map_err(Ended::Refused)?;
    let observer = Arc::new(progress.clone());
    let built = gantry_executor::build(request, &store, host, observer, &cancel);
    let built = built.map_err(|error| match error {
        BuildError::NeedsUserNamespace => Ended::NeedsUserNamespace,
        error => Ended::Failed(Box::new(error)),
    })?;
    store.sync().map_err(|error| Ended::Refused(error.into()))?;
    Ok(built)
}

/// The first Ctrl-C cancels the build, and it ends with 130. The second kills: whoever presses it
/// has waited long enough.
fn cancel_on_signals(cancel: &CancelToken) -> Result<(), Failure> {
    /// One press may arrive twice: from the terminal, and forwarded by the process outside of the
    /// user namespace.
    const ONE_PRESS: Duration = Duration::from_millis(300);
    let cancel = cancel.clone();
    let mut first: Option<Instant> = None;
    signals::watch(&signals::ending(), move |_| match first {
        None => {
            first = Some(Instant::now());
            cancel.cancel();
        }
        Some(first) if first.elapsed() < ONE_PRESS => {}
        #[expect(clippy::exit, reason = "nothing may hold up a second Ctrl-C")]
        Some(_) => std::process::exit(outcome::CANCELED.into()),
    })
    .map_err(|err| Failure::new(err).context("Failed to listen for signals"))
}

fn mode(args: &BuildArgs) -> Result<Mode, Failure> {
    let given = args.progress.filter(|mode| *mode != Mode::Auto);
    match (given, args.quiet) {
        (Some(Mode::Quiet) | None, true) => Ok(Mode::Quiet),
        (Some(mode), true) => {
            let name = format!("{mode:?}").to_lowercase();
            Err(Failure::text(format_args!("progress={name} and quiet cannot be used together")))
        }
        (mode, false) => Ok(mode.unwrap_or(Mode::Auto)),
    }
}

/// Reads a name for an image.
fn parse_tag(text: &str) -> Result<Reference, Failure> {
    let invalid =
        |why: &dyn std::fmt::Display| Failure::text(format_args!("invalid tag \"{text}\": {why}"));
    let reference: Reference = text.parse().map_err(|err| invalid(&err))?;
    if reference.digest().is_some() {
        return Err(invalid(&"a name with a digest can't be given to an image"));
    }
    Ok(reference.with_default_tag())
}
