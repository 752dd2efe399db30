//! RUN: a process in a sandbox on top of a snapshot; what it changes becomes a layer.
//!
//! ```text
//! rootfs   layers → a root filesystem, mounted or copied; and back to a layer
//! mounts   --mount=… → what the sandbox mounts; bind, cache: where the files come from
//! ssh      an agent's socket in the step
//! network  --network=… → what the sandbox sees of it
//! logs     what the process prints, told and stored
//! diff     what a step changed in a plain directory (the copying fall-back)
//! on_fail  files of a step that failed
//! opaque   directories that were made anew, in the form that all readers know
//! ```

mod bind;
mod cache;
pub(super) mod diff;
mod logs;
mod mounts;
mod network;
mod on_fail;
mod opaque;
mod rootfs;
mod ssh;

use std::ffi::OsString;
use std::net::IpAddr;

use gantry_image::Platform;
use gantry_sandbox::{
    ExtraHost, Limits, Resource, Rlimit, Signal, SpawnError, Spec, Stdio, UserSpec, spawn,
};
use gantry_solver::op::{RunOp, Security};
use gantry_solver::{Done, Task};

use self::mounts::Mounts;
use self::rootfs::RootFs;
use super::Executor;
use super::fault::Fault;
use super::stack::layer_ref;

/// What a process gets as PATH if nothing says it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Carries a step out.
pub(super) fn execute(executor: &Executor, task: &Task, op: &RunOp) -> Result<Done, Fault> {
    let allowed = executor.allow.security_insecure;
    if op.security == Security::Insecure && !allowed {
        return Err(Fault::refused_with(
            "entitlement security.insecure is not allowed",
            "Allow it with `--allow security.insecure`",
        ));
    }
    let work = executor.store.bare_work_dir()?;
    let root = RootFs::prepare(executor, &task.base(), &work)?;
    let mounts = Mounts::prepare(executor, task, op, &work)?;
    let network = network::prepare(executor, task, op)?;
    let (spec, _held) = spec(op, root.spec(), network, mounts)?;
    if task.cancel.is_canceled() {
        return Err(Fault::Canceled);
    }
    let mut child = spawn(spec).map_err(|error| foreign(op, error))?;
    let killer = child.killer().map_err(Fault::io("watch the step's process"))?;
    task.cancel.on_cancel(move || {
        // It may have ended meanwhile.
        let _ = killer.kill(Signal::KILL);
    });
    let log = logs::pump(executor, task, child.take_stdout(), child.take_stderr())?;
    if let Some(log) = log {
        executor.keep_log(task.vertex, log);
    }
    let status = child.wait();
    drop(child);
    if task.cancel.is_canceled() {
        return Err(Fault::Canceled);
    }
    if !status.success() {
        on_fail::keep(executor, task, root, &work);
        return Err(failed(op, &status));
    }
    let id = root.commit(executor, &task.base(), &work)?;
    Ok(Done { own: vec![layer_ref(&id)] })
}

/// Says so if a program can't be executed because it is for other machines than this (C1-10).
fn foreign(op: &RunOp, error: SpawnError) -> Fault {
    let unknown = match &error {
        SpawnError::NotExecutable { cause, .. } => {
            cause.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
        }
        // The emulator is registered by its path, and is looked for in the root filesystem.
        SpawnError::NoInterpreter { .. } => true,
        _ => false,
    };
    let host = Platform::host();
    match op.platform.parse::<Platform>() {
        Ok(wanted) if unknown && !host.matches(&wanted) => Fault::Foreign {
            wanted: wanted.to_string(),
            host: host.to_string(),
            hint: format!(
                "Register an emulator that outlives a change of root (flag F), by \
                 `apt-get install qemu-user-static binfmt-support`, or by \
                 `docker run --privileged --rm tonistiigi/binfmt --install {}`",
                wanted.architecture
            ),
            source: Box::new(error),
        },
        _ => not_started(op, error),
    }
}

/// Says whose process it is, if the image or the Dockerfile keeps it from starting.
fn not_started(op: &RunOp, error: SpawnError) -> Fault {
    match error {
        SpawnError::NotFound { .. }
        | SpawnError::NoInterpreter { .. }
        | SpawnError::NotExecutable { .. }
        | SpawnError::OutsideRoot { .. }
        | SpawnError::NoSuchUser(_)
        | SpawnError::NoSuchGroup(_)
        | SpawnError::IdOutOfRange
        | SpawnError::AccountFile { .. } => {
            Fault::Start { command: op.argv.join(" "), spawn: Box::new(error) }
        }
        error => error.into(),
    }
}

fn failed(op: &RunOp, status: &gantry_sandbox::ExitStatus) -> Fault {
    let code = status.shell_code();
    let mut how = format!("exit code: {code}");
    let hint = match code {
        _ if status.oom_killed => {
            how.push_str(super::fault::OUT_OF_MEMORY);
            "Give the step more memory with `--memory`"
        }
        126 => "A command can't be executed: make it so with `chmod +x`; is it for this platform?",
        127 => "A command was not found; is it installed in this image?",
        _ => "What it printed last stands above; `--progress=plain` shows all of it",
    };
    Fault::Process { command: op.argv.join(" "), how, code, hint: hint.to_owned() }
}

/// What must live as long as the process.
type Held = mounts::Held;

fn spec(
    op: &RunOp,
    rootfs: gantry_sandbox::RootfsSpec,
    network: gantry_sandbox::Network,
    mounts: Mounts,
) -> Result<(Spec, Held), Fault> {
    let mut spec = Spec::new(rootfs, op.argv.iter().map(|word| &**word));
    let pairs = op.env.iter().chain(op.proxy.iter());
    spec.env = pairs.map(|var| OsString::from(format!("{}={}", var.name, var.value))).collect();
    if !op.env.iter().any(|var| &*var.name == "PATH") {
        spec.env.push(PATH.into());
    }
    op.cwd.to_string().clone_into(&mut spec.cwd);
    spec.user = op.user.clone().map_or(UserSpec::Root, UserSpec::Text);
    "buildkitsandbox".clone_into(&mut spec.hostname);
    if let Some(hostname) = &op.hostname {
        spec.hostname.clone_from(hostname);
    }
    spec.network = network;
    spec.security = match op.security {
        Security::Sandbox => gantry_sandbox::Security::Sandbox,
        Security::Insecure => gantry_sandbox::Security::Insecure,
    };
    spec.limits = limits(&op.limits);
    spec.rlimits = op.ulimits.iter().map(rlimit).collect::<Result<_, _>>()?;
    if let Some(size) = op.shm_size {
        spec.shm_size = size;
    }
    spec.stdio = Stdio::Piped { stdin: false };
    spec.extra_hosts = op
        .extra_hosts
        .iter()
        .map(|(name, address)| host(name, address))
        .collect::<Result<_, _>>()?;
    spec.env.extend(mounts.env);
    spec.mounts = mounts.mounts;
    Ok((spec, mounts.held))
}

fn host(name: &str, address: &str) -> Result<ExtraHost, Fault> {
    let name = name.to_owned();
    if address == "host-gateway" {
        return Ok(ExtraHost { name, address: None });
    }
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = bare.parse().map_err(|_| {
        Fault::refused_with(
            format!("invalid IP address in add-host: \"{address}\""),
            "Write `--add-host name:address`, or `host-gateway` as the address",
        )
    })?;
    Ok(ExtraHost { name, address: Some(address) })
}

fn rlimit(ulimit: &gantry_solver::op::Ulimit) -> Result<Rlimit, Fault> {
    let resource = Resource::from_name(&ulimit.name).ok_or_else(|| {
        Fault::refused_with(
            format!("invalid ulimit type: {}", ulimit.name),
            "Name one as in `--ulimit nofile=1024:2048`",
        )
    })?;
    Ok(Rlimit { resource, soft: ulimit.soft, hard: ulimit.hard })
}

fn limits(limits: &gantry_solver::op::Limits) -> Limits {
    Limits {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        cpu_shares: limits.cpu_shares,
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        pids: None,
        cgroup_parent: limits.cgroup_parent.clone(),
    }
}
