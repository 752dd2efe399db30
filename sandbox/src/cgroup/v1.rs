//! Limits by one hierarchy a controller.

use std::path::{Path, PathBuf};

use super::hierarchy::Hierarchy;
use super::{Cgroup, Shown, limit, new_name, set, unavailable};
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

/// What programs look at to find out how much they may use. The JVM takes itself for unlimited
/// where one of them is missing, whichever the limit is in.
const LOOKED_AT: [&str; 4] = ["memory", "cpu", "cpuacct", "cpuset"];

/// Makes a group in each hierarchy that has a limit or is looked at; below a parent that was
/// named, whose limits may be anywhere, in all of them.
pub(super) fn make(found: &[Hierarchy], limits: &Limits) -> Result<Cgroup, SpawnError> {
    let below = limits.cgroup_parent.as_deref();
    let mut groups = Groups { found, below, name: new_name(), cgroup: Cgroup::empty() };
    if limits.memory.is_some() || limits.memory_swap.is_some() {
        memory(&groups.of("memory")?, limits)?;
    }
    if limits.cpu_shares.is_some() || limits.cpu_period.is_some() || limits.cpu_quota.is_some() {
        cpu(&groups.of("cpu")?, limits)?;
    }
    if limits.cpuset_cpus.is_some() || limits.cpuset_mems.is_some() {
        let directory = groups.of("cpuset")?;
        for (file, value) in
            [("cpuset.cpus", &limits.cpuset_cpus), ("cpuset.mems", &limits.cpuset_mems)]
        {
            value.as_ref().map_or(Ok(()), |value| set(&directory, file, value, file))?;
        }
    }
    if let Some(pids) = limits.pids {
        let value = if pids > 0 { pids.to_string() } else { "max".to_owned() };
        set(&groups.of("pids")?, "pids.max", &value, "the number of processes")?;
    }
    groups.complete()
}

/// The groups of one step while they are made.
struct Groups<'a> {
    found: &'a [Hierarchy],
    /// [`Limits::cgroup_parent`].
    below: Option<&'a str>,
    name: String,
    cgroup: Cgroup,
}

impl Groups<'_> {
    /// The group for a controller, made where it is not there yet.
    fn of(&mut self, controller: &str) -> Result<PathBuf, SpawnError> {
        let parent = parent(self.found, controller, self.below)
            .map_err(|reason| unavailable(controller, reason))?;
        let directory = parent.join(&self.name);
        if self.cgroup.directories.contains(&directory) {
            return Ok(directory);
        }
        if self.below.is_some() {
            fs_err::create_dir_all(&parent).map_err(limit(controller))?;
        }
        self.cgroup.add(&parent, &self.name).map_err(limit(controller))?;
        if let Err(error) = seed(&directory) {
            self.cgroup.remove_last();
            return Err(error);
        }
        Ok(directory)
    }

    /// Makes the groups that no limit asked for, and notes all that the step is to see.
    fn complete(mut self) -> Result<Cgroup, SpawnError> {
        for hierarchy in self.found {
            let Some(first) = hierarchy.controllers.first() else { continue };
            let has_group = parent(self.found, first, self.below)
                .is_ok_and(|parent| self.cgroup.directories.contains(&parent.join(&self.name)));
            let looked_at = |name: &String| LOOKED_AT.contains(&name.as_str());
            if !has_group && self.below.is_none() && !hierarchy.controllers.iter().any(looked_at) {
                continue;
            }
            match self.of(first) {
                Ok(directory) if self.cgroup.shown.iter().all(|it| it.directory != directory) => {
                    let controllers = hierarchy.controllers.clone();
                    // Also where nothing but the groups above limits it.
                    if controllers.iter().any(|name| name == "memory") {
                        self.cgroup.oom = Some(directory.join("memory.oom_control"));
                    }
                    self.cgroup.shown.push(Shown { controllers, directory });
                }
                // Mounted twice.
                Ok(_) => {}
                Err(error) if self.below.is_some() => return Err(error),
                // It was only to be looked at, and belongs to somebody else.
                Err(_) => {}
            }
        }
        Ok(self.cgroup)
    }
}

fn cpu(directory: &Path, limits: &Limits) -> Result<(), SpawnError> {
    if let Some(shares) = limits.cpu_shares {
        set(directory, "cpu.shares", &shares.to_string(), "CPU shares")?;
    }
    if let Some(period) = limits.cpu_period {
        set(directory, "cpu.cfs_period_us", &period.to_string(), "the CPU period")?;
    }
    if let Some(quota) = limits.cpu_quota {
        set(directory, "cpu.cfs_quota_us", &quota.to_string(), "the CPU quota")?;
    }
    Ok(())
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

/// A new cpuset is empty, and nothing can run in it: it gets what the one above has.
fn seed(directory: &Path) -> Result<(), SpawnError> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if directory.join(file).exists() {
            inherited(directory, file)?;
        }
    }
    Ok(())
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
