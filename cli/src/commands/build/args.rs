//! The flags of `build`: docker's names, defaults and wording.

use std::path::PathBuf;

use gantry_solver::op::Ulimit;

use super::output::OutputSpec;
use super::values::{self, ExtraHost, KeyValue, SecretSource};
use crate::progress::Mode;
use crate::ui::human;

/// Build an image from a Dockerfile
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry build [OPTIONS] PATH | URL | -")]
pub(crate) struct BuildArgs {
    /// Directory, git repository or address of the build context; `-` reads a tar, or a Dockerfile
    /// without a context
    #[arg(value_name = "PATH | URL | -")]
    pub(super) context: Option<String>,
    /// Add a custom host-to-IP mapping (format: `host:ip`)
    #[arg(long = "add-host", value_name = "strings")]
    pub(super) add_hosts: Vec<ExtraHost>,
    /// Allow extra privileged entitlement (e.g., `network.host`, `security.insecure`)
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub(super) allow: Vec<String>,
    /// Set build-time variables
    #[arg(long = "build-arg", value_name = "stringArray")]
    pub(super) build_args: Vec<KeyValue>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long = "build-context", value_name = "stringArray")]
    pub(super) build_contexts: Vec<String>,
    /// Set method for evaluating build: check, outline, targets, subrequests.describe
    /// (`,format=json`)
    #[arg(long, value_name = "string")]
    pub(super) call: Option<String>,
    /// Shorthand for `--call=check`
    #[arg(long)]
    pub(super) check: bool,
    /// Name of the Dockerfile (default: `PATH/Dockerfile`)
    #[arg(short, long, value_name = "string")]
    pub(super) file: Option<String>,
    /// Write the image ID to a file
    #[arg(long, value_name = "string")]
    pub(super) iidfile: Option<PathBuf>,
    /// Set metadata for an image
    #[arg(long = "label", value_name = "stringArray")]
    pub(super) labels: Vec<KeyValue>,
    /// Shorthand for `--output=type=docker`
    #[arg(long)]
    pub(super) load: bool,
    /// Write build result metadata to a file
    #[arg(long, value_name = "string")]
    pub(super) metadata_file: Option<PathBuf>,
    /// Set the networking mode for the `RUN` instructions during build
    #[arg(long, value_name = "string", default_value = "default")]
    pub(super) network: String,
    /// Do not use cache when building the image
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Do not cache specified stages
    #[arg(long, value_name = "stringArray", value_delimiter = ',')]
    pub(super) no_cache_filter: Vec<String>,
    /// Output destination (format: `type=local,dest=path`)
    #[arg(short, long = "output", value_name = "stringArray")]
    pub(super) outputs: Vec<OutputSpec>,
    /// Set target platform for build
    #[arg(long, value_name = "stringArray", value_delimiter = ',')]
    pub(super) platform: Vec<String>,
    /// Set type of progress output. Use plain to show container output
    #[arg(long, value_name = "string", env = "BUILDKIT_PROGRESS", hide_env_values = true)]
    pub(super) progress: Option<Mode>,
    /// Exit with the exit code of the step that failed, instead of 1
    #[arg(long)]
    pub(super) propagate_exit_code: bool,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pub(super) pull: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Secret to expose to the build (format: `id=mysecret[,src=/local/secret]`)
    #[arg(long = "secret", value_name = "stringArray")]
    pub(super) secrets: Vec<SecretSource>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "bytes", value_parser = human::parse_size)]
    pub(super) shm_size: Option<u64>,
    /// Image identifier (format: `[registry/]repository[:tag]`)
    #[arg(short, long = "tag", value_name = "stringArray")]
    pub(super) tags: Vec<String>,
    /// SSH agent socket or keys to expose to the build
    /// (format: `default|<id>[=<socket>|<key>[,<key>]]`)
    #[arg(long, value_name = "stringArray")]
    pub(super) ssh: Vec<String>,
    /// Set the target build stage to build
    #[arg(long, value_name = "string")]
    pub(super) target: Option<String>,
    /// Ulimit options
    #[arg(long = "ulimit", value_name = "ulimit", value_parser = values::parse_ulimit)]
    pub(super) ulimits: Vec<Ulimit>,
    #[command(flatten)]
    pub(super) explain: super::dry_run::Explain,
    #[command(flatten)]
    pub(super) limits: Limits,
    #[command(flatten)]
    pub(super) legacy: Legacy,
}

/// What `RUN` steps may take of the machine.
#[derive(Debug, clap::Args)]
pub(super) struct Limits {
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = human::parse_size, hide = true)]
    pub(super) memory: Option<u64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes", allow_hyphen_values = true, hide = true)]
    pub(super) memory_swap: Option<String>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int", hide = true)]
    pub(super) cpu_shares: Option<u64>,
    /// Limit the CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int", hide = true)]
    pub(super) cpu_period: Option<u64>,
    /// Limit the CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", hide = true)]
    pub(super) cpu_quota: Option<i64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", hide = true)]
    pub(super) cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", hide = true)]
    pub(super) cpuset_mems: Option<String>,
    /// Set the parent cgroup for the `RUN` instructions during build
    #[arg(long, value_name = "string", hide = true)]
    pub(super) cgroup_parent: Option<String>,
}

/// Flags of docker's classic builder that mean nothing here, and are said to.
#[derive(Debug, clap::Args)]
pub(super) struct Legacy {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) force_rm: Option<bool>,
    #[arg(long, hide = true)]
    pub(super) compress: bool,
    #[arg(long, hide = true)]
    pub(super) squash: bool,
    #[arg(long, hide = true)]
    pub(super) isolation: Option<String>,
    #[arg(long, hide = true)]
    pub(super) security_opt: Vec<String>,
    /// How root filesystems are put together: `auto` or `copying`.
    #[arg(long, hide = true, env = "GANTRY_SNAPSHOTTER", default_value = "auto")]
    pub(super) snapshotter: String,
}

impl Legacy {
    /// The flags that were given in vain.
    pub(super) fn ignored(&self) -> Vec<&'static str> {
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
