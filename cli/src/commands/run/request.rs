//! Arguments of `run` as typed → a container as meant.

use std::io::{self, IsTerminal as _};

use gantry_runtime::{Entrypoint, NetworkMode, RunRequest, Streams};
use gantry_sandbox::{Limits, WindowSize};

use super::values::{self, Mount};
use super::{RunArgs, terminal};
use crate::ui::{Failure, human};

/// Makes the request.
///
/// # Errors
/// Whatever is wrong with the arguments.
pub(super) fn make(args: &RunArgs) -> Result<RunRequest, Failure> {
    let mut words = args.words.iter().map(|word| {
        word.to_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::usage(format_args!("`{}` is not UTF-8", word.display())))
    });
    let image = words.next().ok_or_else(|| Failure::usage("no image was named"))??;
    let mut request = RunRequest::new(image);
    request.command = words.collect::<Result<_, _>>()?;
    request.entrypoint = match args.entrypoint.as_deref() {
        None => Entrypoint::Image,
        Some("") => Entrypoint::Cleared,
        Some(program) => Entrypoint::Program(program.to_owned()),
    };
    request.platform = args.platform.clone();
    request.name = args.name.clone();
    for path in &args.env_files {
        request.env.extend(values::env_file(path)?);
    }
    request.env.extend(args.env.iter().filter_map(|text| values::variable(text)));
    for text in &args.volumes {
        request.binds.push(values::volume(text)?);
    }
    for text in &args.mounts {
        match values::mount(text)? {
            Mount::Bind(bind) => request.binds.push(bind),
            Mount::Tmpfs(target) => request.tmpfs.push(target),
        }
    }
    request.tmpfs.extend(args.tmpfs.iter().cloned());
    request.workdir = args.workdir.clone();
    request.user = args.user.clone();
    request.hostname = args.hostname.clone();
    request.network = network(&args.network)?;
    for text in &args.add_hosts {
        request.extra_hosts.extend(values::extra_hosts(text)?);
    }
    request.dns = args.dns.clone();
    request.read_only = args.read_only;
    request.privileged = args.privileged;
    request.limits = limits(args)?;
    for text in &args.ulimits {
        request.rlimits.push(values::rlimit(text)?);
    }
    request.shm_size = args.shm_size;
    request.streams = streams(args)?;
    request.remove = args.rm;
    Ok(request)
}

fn network(text: &str) -> Result<NetworkMode, Failure> {
    match text {
        "bridge" | "default" => Ok(NetworkMode::Bridge),
        "host" => Ok(NetworkMode::Host),
        "none" => Ok(NetworkMode::None),
        other => Err(Failure::text(format_args!("network {other} not found"))
            .with_hint("There are `bridge`, `host` and `none`")),
    }
}

fn limits(args: &RunArgs) -> Result<Limits, Failure> {
    /// Microseconds; docker's period for `--cpus`.
    const PERIOD: u64 = 100_000;
    let swap = match args.memory_swap.as_deref() {
        None => None,
        Some("-1") => Some(-1),
        Some(text) => {
            let bytes = human::parse_size(text).map_err(Failure::usage)?;
            Some(i64::try_from(bytes).unwrap_or(i64::MAX))
        }
    };
    let (period, quota) = match args.cpus {
        None => (args.cpu_period, args.cpu_quota),
        Some(_) if args.cpu_period.is_some() || args.cpu_quota.is_some() => {
            return Err(Failure::usage(
                "conflicting options: --cpus with --cpu-period or --cpu-quota",
            ));
        }
        Some(cpus) if cpus.is_finite() && cpus > 0.0 && cpus < 1e6 => {
            #[expect(clippy::cast_possible_truncation, reason = "bounded right above")]
            let quota = (cpus * 100_000.0).round() as i64;
            (Some(PERIOD), Some(quota))
        }
        Some(cpus) => return Err(Failure::usage(format_args!("invalid number of CPUs: {cpus}"))),
    };
    Ok(Limits {
        memory: args.memory,
        memory_swap: swap,
        cpu_shares: args.cpu_shares,
        cpu_period: period,
        cpu_quota: quota,
        cpuset_cpus: args.cpuset_cpus.clone(),
        cpuset_mems: args.cpuset_mems.clone(),
        pids: args.pids_limit,
        cgroup_parent: None,
    })
}

fn streams(args: &RunArgs) -> Result<Streams, Failure> {
    let stdin = args.interactive;
    if !args.tty {
        return Ok(Streams::Pipes { stdin });
    }
    if stdin && !io::stdin().is_terminal() {
        return Err(Failure::text(
            "cannot attach stdin to a TTY-enabled container because stdin is not a terminal",
        ));
    }
    let size = terminal::size().unwrap_or(WindowSize { rows: 24, columns: 80 });
    Ok(Streams::Terminal { size, stdin })
}
