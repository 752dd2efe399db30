//! The flags of `build`: docker's names, defaults and wording.

use std::path::{Path, PathBuf};

use gantry_solver::op::Ulimit;

use super::cache::CacheSpec;
use super::legacy::Legacy;
use super::output::OutputSpec;
use super::podman::Podman;
use super::values::{self, ExtraHost, KeyValue, OnFailSpec, SecretSource};
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
    /// Allow extra privileged entitlement (e.g., `network.host`, `security.insecure`,
    /// `buildx.local.delete`)
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub(super) allow: Vec<String>,
    /// Add annotation to the image
    #[arg(long = "annotation", value_name = "stringArray")]
    pub(super) annotations: Vec<String>,
    /// Attestation parameters (format: `type=sbom,generator=image`)
    #[arg(long = "attest", value_name = "stringArray")]
    pub(super) attests: Vec<String>,
    /// Add annotations that name the image built upon, and its digest
    #[arg(long)]
    pub(super) base_annotations: bool,
    /// Set build-time variables
    #[arg(long = "build-arg", value_name = "stringArray")]
    pub(super) build_args: Vec<KeyValue>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long = "build-context", value_name = "stringArray")]
    pub(super) build_contexts: Vec<String>,
    /// Override the configured builder instance: there is one only, so the name means nothing
    #[arg(long, value_name = "string", env = "BUILDX_BUILDER", hide_env = true)]
    pub(super) builder: Option<String>,
    /// External cache sources (e.g., `user/app:cache`, `type=local,src=path/to/dir`)
    #[arg(long = "cache-from", value_name = "stringArray")]
    pub(super) cache_from: Vec<CacheSpec>,
    /// Cache export destinations (e.g., `user/app:cache`, `type=local,dest=path/to/dir`)
    #[arg(long = "cache-to", value_name = "stringArray")]
    pub(super) cache_to: Vec<CacheSpec>,
    /// Set method for evaluating build: check, outline, targets, subrequests.describe
    /// (`,format=json`)
    #[arg(long, value_name = "string")]
    pub(super) call: Option<String>,
    /// Shorthand for `--call=check`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) check: bool,
    /// Name of the Dockerfile (default: `PATH/Dockerfile`)
    #[arg(short, long, value_name = "string")]
    pub(super) file: Option<String>,
    /// Write the image ID to a file
    #[arg(long, value_name = "string", value_parser = values::any_path())]
    iidfile: Option<PathBuf>,
    /// Set metadata for an image
    #[arg(long = "label", value_name = "stringArray")]
    pub(super) labels: Vec<KeyValue>,
    /// Shorthand for `--output=type=docker`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) load: bool,
    /// Write build result metadata to a file
    #[arg(long, value_name = "string", value_parser = values::any_path())]
    metadata_file: Option<PathBuf>,
    /// Set the networking mode for the `RUN` instructions during build
    #[arg(long, value_name = "string", default_value = "default")]
    pub(super) network: String,
    /// Do not use cache when building the image
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) no_cache: bool,
    /// Do not cache specified stages
    #[arg(long, value_name = "stringArray", value_delimiter = ',')]
    pub(super) no_cache_filter: Vec<String>,
    /// Output destination (format: `type=local,dest=path`)
    #[arg(short, long = "output", value_name = "stringArray")]
    pub(super) outputs: Vec<OutputSpec>,
    /// Write files of a step that failed (format: `type=local,src=/reports,dest=path`, or
    /// `type=tar`)
    #[arg(long, value_name = "string")]
    pub(super) on_fail_output: Option<OnFailSpec>,
    /// Set target platform for build
    #[arg(
        long,
        value_name = "stringArray",
        value_delimiter = ',',
        env = "DOCKER_DEFAULT_PLATFORM",
        hide_env = true
    )]
    pub(super) platform: Vec<String>,
    /// Set type of progress output; `auto` is what `BUILDKIT_PROGRESS` says. Use plain to show
    /// container output
    #[arg(long, value_name = "string")]
    pub(super) progress: Option<Mode>,
    /// Exit with the exit code of the step that failed, instead of 1
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) propagate_exit_code: bool,
    /// Shorthand for `--attest=type=provenance` (format: `mode=min,builder-id=URL`)
    #[arg(long, value_name = "string")]
    pub(super) provenance: Option<String>,
    /// Always attempt to pull all referenced images
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_pull,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) pull: bool,
    /// Shorthand for `--output=type=registry`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) push: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) quiet: bool,
    /// Limit a resource of `RUN` steps (format: `memory=512m`; memory, memory-swap, cpu-shares,
    /// cpu-period, cpu-quota, cpuset-cpus, cpuset-mems)
    #[arg(long = "resource", value_name = "stringArray")]
    pub(super) resources: Vec<String>,
    /// Clamp the times of files in layers to `SOURCE_DATE_EPOCH`, which happens anyway; `=false`
    /// keeps them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = values::parse_bool, value_name = "bool")]
    pub(super) rewrite_timestamp: Option<bool>,
    /// Shorthand for `--attest=type=sbom`
    #[arg(long, value_name = "string")]
    pub(super) sbom: Option<String>,
    /// Secret to expose to the build (format: `id=mysecret[,src=/local/secret]`)
    #[arg(long = "secret", value_name = "stringArray")]
    pub(super) secrets: Vec<SecretSource>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "bytes", value_parser = human::parse_size)]
    pub(super) shm_size: Option<u64>,
    /// Set the time that stands for now, over `SOURCE_DATE_EPOCH`: seconds since 1970, `context`,
    /// or the name of a context or stage that has a time
    #[arg(long, value_name = "seconds")]
    pub(super) source_date_epoch: Option<String>,
    /// Squash newly built layers into a single new layer
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true, value_parser = values::parse_bool,
          action = clap::ArgAction::Set, value_name = "bool")]
    pub(super) squash: bool,
    /// Image identifier (format: `[registry/]repository[:tag]`)
    #[arg(short, long = "tag", value_name = "stringArray")]
    pub(super) tags: Vec<String>,
    /// SSH agent socket or keys to expose to the build
    /// (format: `default|<id>[=<socket>|<key>[,<key>]]`)
    #[arg(long, value_name = "stringArray")]
    pub(super) ssh: Vec<String>,
    /// Set the target build stage to build
    #[arg(long, value_name = "string")]
    target: Option<String>,
    /// Ulimit options
    #[arg(long = "ulimit", value_name = "ulimit", value_parser = values::parse_ulimit)]
    pub(super) ulimits: Vec<Ulimit>,
    #[command(flatten)]
    pub(super) explain: super::dry_run::Explain,
    #[command(flatten)]
    pub(super) limits: Limits,
    #[command(flatten)]
    pub(super) podman: Podman,
    #[command(flatten)]
    pub(super) legacy: Legacy,
}

/// A variable of a script may well be empty: for buildx, that is as if the flag weren't there.
impl BuildArgs {
    pub(super) fn iidfile(&self) -> Option<&Path> {
        self.iidfile.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    pub(super) fn metadata_file(&self) -> Option<&Path> {
        self.metadata_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    pub(super) fn target(&self) -> Option<&str> {
        self.target.as_deref().filter(|name| !name.is_empty())
    }
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
    #[arg(long, value_name = "string")]
    pub(super) cgroup_parent: Option<String>,
}
