//! Which IDs there are in this user namespace.

use crate::IdMap;

/// Whether this process's user namespace is another than the initial one.
pub(crate) fn in_user_namespace() -> bool {
    /// Has had this inode since there are such namespaces (`PROC_USER_INIT_INO`).
    const INITIAL: &str = "user:[4026531837]";
    fs_err::read_link("/proc/self/ns/user").is_ok_and(|name| name.as_os_str() != INITIAL)
}

/// Whether `setgroups` is allowed.
pub(crate) fn can_set_groups() -> bool {
    fs_err::read_to_string("/proc/self/setgroups").map_or(true, |text| text.trim() != "deny")
}

/// What this process's namespace maps.
pub(crate) fn map() -> IdMap {
    let (Some(users), Some(groups)) = (read_map("uid_map"), read_map("gid_map")) else {
        return IdMap::Full;
    };
    let count = count(&users).min(count(&groups));
    match count {
        0 | 1 => IdMap::Single,
        // What images use lies below 65536; a namespace that maps nearly everything is as good.
        count if count >= u64::from(u32::MAX - 1) => IdMap::Full,
        count => IdMap::SubIds { count: u32::try_from(count).unwrap_or(u32::MAX) },
    }
}

/// A line of `uid_map`: inside, outside, length.
pub(crate) type Range = (u64, u64, u64);

/// Reads this process's map; `None` if it cannot be read.
pub(crate) fn read_map(name: &str) -> Option<Vec<Range>> {
    parse(&fs_err::read_to_string(format!("/proc/self/{name}")).ok()?)
}

fn parse(text: &str) -> Option<Vec<Range>> {
    text.lines()
        .map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .collect()
}

fn count(ranges: &[Range]) -> u64 {
    ranges.iter().map(|(_, _, length)| length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_as_the_kernel_writes_them() {
        let full = parse("         0          0 4294967295\n").unwrap();
        assert_eq!(full, [(0, 0, 4_294_967_295)]);
        let some = parse("0 1000 1\n1 100000 65536\n").unwrap();
        assert_eq!(count(&some), 65_537);
        assert_eq!(parse("0 x 1\n"), None);
    }
}
