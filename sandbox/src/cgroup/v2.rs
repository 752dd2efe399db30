//! Limits by the unified hierarchy.

use std::path::{Path, PathBuf};

use super::hierarchy::Hierarchy;
use super::{Cgroup, limit, new_name, set, unavailable, writable};
use crate::{Limits, SpawnError};

/// Finds the nearest group upwards that may have children with these controllers.
///
/// A group with processes of its own, as gantry's mostly is, can have none ("no internal
/// processes"), so this is its parent as a rule.
pub(super) fn parent(
    found: &Hierarchy,
    controllers: &[&str],
    below: Option<&str>,
) -> Result<PathBuf, String> {
    if let Some(path) = below {
        let path = found.mount.join(path.trim_start_matches('/'));
        fs_err::create_dir_all(&path).map_err(|error| error.to_string())?;
        return enable(&path, controllers).map(|()| path);
    }
    let mut reason = None;
    let inside = |path: &&Path| path.starts_with(&found.mount);
    for candidate in found.own.ancestors().take_while(inside) {
        match enable(candidate, controllers) {
            Ok(()) => return Ok(candidate.to_owned()),
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    Err(reason.unwrap_or_else(|| "this process is in no group below the mount".to_owned()))
}

fn enable(directory: &Path, controllers: &[&str]) -> Result<(), String> {
    let shown = directory.display();
    if !writable(directory) {
        return Err(format!("`{shown}` is not writable"));
    }
    let file = directory.join("cgroup.subtree_control");
    let enabled = fs_err::read_to_string(&file).map_err(|error| error.to_string())?;
    for controller in controllers {
        if !enabled.split_ascii_whitespace().any(|name| name == *controller) {
            fs_err::write(&file, format!("+{controller}")).map_err(|error| {
                format!("the controller `{controller}` cannot be enabled below `{shown}`: {error}")
            })?;
        }
    }
    Ok(())
}

/// Makes a group with these limits.
pub(super) fn make(found: &Hierarchy, limits: &Limits) -> Result<Cgroup, SpawnError> {
    let settings = settings(limits)?;
    let mut controllers: Vec<&str> = Vec::new();
    for (file, _, _) in &settings {
        let controller = file.split('.').next().unwrap_or(file);
        if !controllers.contains(&controller) {
            controllers.push(controller);
        }
    }
    let parent = parent(found, &controllers, limits.cgroup_parent.as_deref())
        .map_err(|reason| unavailable(&controllers.join(", "), reason))?;
    let mut cgroup = Cgroup::empty();
    let directory = cgroup.add(&parent, &new_name()).map_err(limit("the step"))?;
    for (file, value, what) in &settings {
        match set(&directory, file, value, what) {
            // Kernels that do not account swap lack the file; only who asked for it must know.
            Err(_) if *file == "memory.swap.max" && limits.memory_swap.is_none() => {}
            other => other?,
        }
    }
    // Not there without the controller, which then kills nothing.
    cgroup.oom = Some(directory.join("memory.events"));
    Ok(cgroup)
}

/// File, value, and what that is for people.
type Setting = (&'static str, String, &'static str);

fn settings(limits: &Limits) -> Result<Vec<Setting>, SpawnError> {
    let mut settings: Vec<Setting> = Vec::new();
    match (limits.memory, limits.memory_swap) {
        (Some(memory), swap) => {
            settings.push(("memory.max", memory.to_string(), "memory"));
            let swap = match swap {
                None => memory.to_string(),
                Some(..0) => "max".to_owned(),
                Some(total) => total.unsigned_abs().saturating_sub(memory).to_string(),
            };
            settings.push(("memory.swap.max", swap, "swap"));
        }
        (None, Some(_)) => {
            return Err(unavailable("swap", "there is no memory limit".to_owned()));
        }
        (None, None) => {}
    }
    if let Some(shares) = limits.cpu_shares {
        settings.push(("cpu.weight", weight(shares).to_string(), "CPU shares"));
    }
    if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
        let quota = match limits.cpu_quota {
            Some(quota @ 1..) => quota.to_string(),
            _ => "max".to_owned(),
        };
        let period = limits.cpu_period.unwrap_or(100_000);
        settings.push(("cpu.max", format!("{quota} {period}"), "the CPU quota"));
    }
    if let Some(cpus) = &limits.cpuset_cpus {
        settings.push(("cpuset.cpus", cpus.clone(), "CPUs"));
    }
    if let Some(mems) = &limits.cpuset_mems {
        settings.push(("cpuset.mems", mems.clone(), "memory nodes"));
    }
    if let Some(pids) = limits.pids {
        let value = if pids > 0 { pids.to_string() } else { "max".to_owned() };
        settings.push(("pids.max", value, "the number of processes"));
    }
    Ok(settings)
}

/// Shares (2 to 262144) as weight (1 to 10000), as runc has long done it.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_their_ratio() {
        assert_eq!((weight(0), weight(2), weight(262_144)), (1, 1, 10_000));
        let ratio = weight(1024) as f64 / weight(256) as f64;
        assert!((3.5..4.5).contains(&ratio), "{ratio}");
    }

    #[test]
    fn limits_become_what_the_kernel_reads() {
        let limits = Limits {
            memory: Some(1 << 30),
            cpu_quota: Some(50_000),
            pids: Some(-1),
            ..Limits::default()
        };
        let settings = settings(&limits).unwrap();
        let values: Vec<_> =
            settings.iter().map(|(file, value, _)| (*file, value.as_str())).collect();
        assert_eq!(
            values,
            [
                ("memory.max", "1073741824"),
                ("memory.swap.max", "1073741824"),
                ("cpu.max", "50000 100000"),
                ("pids.max", "max"),
            ]
        );
    }
}
