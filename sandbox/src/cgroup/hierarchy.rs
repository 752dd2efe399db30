//! Which hierarchies are mounted, and where in them this process is.

use std::path::{Path, PathBuf};

/// What is there to limit with.
#[derive(Debug)]
pub(super) enum Hierarchies {
    /// Those with a controller; also in hybrid setups, where the unified one has none.
    V1(Vec<Hierarchy>),
    /// The unified one.
    V2(Hierarchy),
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Its controllers; empty for the unified one.
    pub(super) controllers: Vec<String>,
    /// Where it is mounted.
    pub(super) mount: PathBuf,
    /// The directory of this process's own group.
    pub(super) own: PathBuf,
}

/// Finds them, or says why there are none.
pub(super) fn find() -> Result<Hierarchies, String> {
    let read = |path: &str| fs_err::read_to_string(path).map_err(|error| error.to_string());
    let found = parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    let unified = found.iter().find(|found| found.controllers.is_empty()).cloned();
    let classic: Vec<_> = found.into_iter().filter(|found| !found.controllers.is_empty()).collect();
    // In hybrid setups the unified one has what nobody else wanted, `hugetlb` for one.
    let has_memory = |unified: &Hierarchy| {
        fs_err::read_to_string(unified.mount.join("cgroup.controllers"))
            .is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"))
    };
    match unified {
        Some(unified) if has_memory(&unified) || classic.is_empty() => Ok(Hierarchies::V2(unified)),
        _ if classic.is_empty() => Err("no cgroup filesystem is mounted".to_owned()),
        _ => Ok(Hierarchies::V1(classic)),
    }
}

fn parse(mountinfo: &str, cgroup: &str) -> Vec<Hierarchy> {
    mountinfo.lines().filter_map(|line| hierarchy(line, cgroup)).collect()
}

/// Reads a line of `mountinfo`: `36 35 98:0 /root /mount/point rw,… - type source options`.
fn hierarchy(line: &str, cgroup: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount) = (before.next()?, PathBuf::from(before.next()?));
    let mut after = after.split(' ');
    let kind = after.next()?;
    let options = after.nth(1)?;
    let controllers: Vec<String> = match kind {
        "cgroup2" => Vec::new(),
        "cgroup" => options
            .split(',')
            .filter(|option| !matches!(*option, "rw" | "ro" | "xattr") && !option.contains('='))
            .map(str::to_owned)
            .collect(),
        _ => return None,
    };
    if kind == "cgroup" && controllers.is_empty() {
        return None; // A named one, which limits nothing.
    }
    let path = cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let mut names = names.split(',');
        let is_it = match controllers.first() {
            None => names.all(str::is_empty),
            Some(first) => names.any(|name| name == first),
        };
        is_it.then_some(path)
    })?;
    // In a container the mount's root may be the group itself.
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let below = below.strip_prefix("/").unwrap_or(below);
    let own = mount.join(below);
    Some(Hierarchy { controllers, mount, own })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_recognised() {
        let mountinfo = "\
30 1 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 1 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
32 1 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 1 0:29 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw
34 1 0:30 /docker/1 /c rw - cgroup cgroup rw,pids
35 1 8:1 / / rw - ext4 /dev/vda rw
";
        let cgroup = "8:pids:/docker/1/x\n4:memory:/a/b\n3:cpu,cpuacct:/\n0::/u\n";
        let found = parse(mountinfo, cgroup);
        let own: Vec<_> = found.iter().map(|found| found.own.to_str().unwrap()).collect();
        assert_eq!(
            own,
            [
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/cpu,cpuacct/",
                "/sys/fs/cgroup/unified/u",
                "/c/x"
            ]
        );
        assert_eq!(found[1].controllers, ["cpu", "cpuacct"]);
        assert!(found[2].controllers.is_empty());
    }
}
