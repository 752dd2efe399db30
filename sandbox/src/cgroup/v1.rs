//! Limits by one hierarchy a controller.

use std::path::{Path, PathBuf};

use super::hierarchy::Hierarchy;
use super::{Cgroup, limit, new_name, set, unavailable};
use crate::{Limits, SpawnError};

/// Where a group for `controller` goes, or why there is no such place.
pub(super) fn parent(
    found: &[Hierarchy],
    controller: &str,
    below: Option<&str>,
) -> Result<PathBuf, String> {
    let hierarchy = found
        .iter()
        .find(|found| found.controllers.iter().any(|name| name == controller))
        .ok_or_else(|| format!("the cgroup controller `{controller}` is not mounted"))?;
    Ok(match below {
        Some(path) => hierarchy.mount.join(path.trim_start_matches('/')),
        None => hierarchy.own.clone(),
    })
}

/// Makes one group for each controller that a limit needs.
pub(super) fn make(found: &[Hierarchy], limits: &Limits) -> Result<Cgroup, SpawnError> {
    let mut cgroup = Cgroup::empty();
    let name = new_name();
    let mut group = |controller: &str| -> Result<PathBuf, SpawnError> {
        let parent = parent(found, controller, limits.cgroup_parent.as_deref())
            .map_err(|reason| unavailable(controller, reason))?;
        if limits.cgroup_parent.is_some() {
            fs_err::create_dir_all(&parent).map_err(limit(controller))?;
        }
        cgroup.add(&parent, &name).map_err(limit(controller))
    };

    let mut oom = None;
    if limits.memory.is_some() || limits.memory_swap.is_some() {
        let directory = group("memory")?;
        memory(&directory, limits)?;
        oom = Some(directory.join("memory.oom_control"));
    }
    if limits.cpu_shares.is_some() || limits.cpu_period.is_some() || limits.cpu_quota.is_some() {
        let directory = group("cpu")?;
        if let Some(shares) = limits.cpu_shares {
            set(&directory, "cpu.shares", &shares.to_string(), "CPU shares")?;
        }
        if let Some(period) = limits.cpu_period {
            set(&directory, "cpu.cfs_period_us", &period.to_string(), "the CPU period")?;
        }
        if let Some(quota) = limits.cpu_quota {
            set(&directory, "cpu.cfs_quota_us", &quota.to_string(), "the CPU quota")?;
        }
    }
    if limits.cpuset_cpus.is_some() || limits.cpuset_mems.is_some() {
        let directory = group("cpuset")?;
        cpuset(&directory, "cpuset.cpus", limits.cpuset_cpus.as_deref())?;
        cpuset(&directory, "cpuset.mems", limits.cpuset_mems.as_deref())?;
    }
    if let Some(pids) = limits.pids {
        let directory = group("pids")?;
        let value = if pids > 0 { pids.to_string() } else { "max".to_owned() };
        set(&directory, "pids.max", &value, "the number of processes")?;
    }
    cgroup.oom = oom;
    Ok(cgroup)
}

fn memory(directory: &Path, limits: &Limits) -> Result<(), SpawnError> {
    let Some(memory) = limits.memory else {
        return Err(unavailable("swap", "there is no memory limit".to_owned()));
    };
    set(directory, "memory.limit_in_bytes", &memory.to_string(), "memory")?;
    let total = match limits.memory_swap {
        Some(total) => total.to_string(),
        None => memory.saturating_mul(2).to_string(),
    };
    let result = set(directory, "memory.memsw.limit_in_bytes", &total, "memory and swap");
    // Kernels that do not account swap lack the file; only who asked for it needs to know.
    if limits.memory_swap.is_none_or(|total| total < 0) { Ok(()) } else { result }
}

/// A new cpuset is empty, and nothing can run in it: what is not limited is the parent's.
fn cpuset(directory: &Path, file: &str, value: Option<&str>) -> Result<(), SpawnError> {
    let inherited = inherited(directory.parent().unwrap_or(directory), file)?;
    set(directory, file, value.unwrap_or(&inherited), file)
}

/// What a group may use. One that was just made may use nothing, and gets what the one above has.
fn inherited(directory: &Path, file: &str) -> Result<String, SpawnError> {
    let own = fs_err::read_to_string(directory.join(file)).map_err(limit(file))?;
    let above = directory.parent().filter(|above| above.join(file).exists());
    match (own.trim(), above) {
        ("", Some(above)) => {
            let value = inherited(above, file)?;
            set(directory, file, &value, file)?;
            Ok(value)
        }
        (own, _) => Ok(own.to_owned()),
    }
}
