//! `--resource`, and the hidden flags that say the same: what `RUN` steps may take of the machine
//! (C1-25).

use gantry_solver::op;

use super::args::Limits;
use crate::ui::{Failure, human};

/// Puts together what both say; `--resource` wins.
///
/// # Errors
/// A resource that there isn't, or a value that is none.
pub(super) fn limits(flags: &Limits, resources: &[String]) -> Result<op::Limits, Failure> {
    let mut limits = op::Limits {
        memory: flags.memory,
        memory_swap: flags.memory_swap.as_deref().map(swap).transpose()?,
        cpu_shares: flags.cpu_shares,
        cpu_period: flags.cpu_period,
        cpu_quota: flags.cpu_quota,
        cpuset_cpus: flags.cpuset_cpus.clone(),
        cpuset_mems: flags.cpuset_mems.clone(),
        cgroup_parent: flags.cgroup_parent.clone().filter(|path| !path.is_empty()),
    };
    for text in resources {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Failure::text(format_args!("invalid resource {text:?}, expected key=value"))
        })?;
        let invalid = |why: &dyn std::fmt::Display| {
            Failure::text(format_args!("invalid value {value:?} for resource {name:?}: {why}"))
        };
        let number = || value.parse().map_err(|err| invalid(&err));
        match name {
            "memory" => {
                limits.memory = Some(human::parse_size(value).map_err(|err| invalid(&err))?);
            }
            "memory-swap" => limits.memory_swap = Some(swap(value)?),
            "cpu-shares" => limits.cpu_shares = Some(number()?),
            "cpu-period" => limits.cpu_period = Some(number()?),
            "cpu-quota" => {
                limits.cpu_quota = Some(value.parse().map_err(|err| invalid(&err))?);
            }
            "cpuset-cpus" => limits.cpuset_cpus = Some(value.to_owned()),
            "cpuset-mems" => limits.cpuset_mems = Some(value.to_owned()),
            other => return Err(Failure::text(format_args!("unknown resource {other:?}"))),
        }
    }
    Ok(limits)
}

fn swap(text: &str) -> Result<i64, Failure> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = human::parse_size(text).map_err(Failure::usage)?;
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}
