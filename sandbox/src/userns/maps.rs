//! Writing the id maps of a child: by `newuidmap` and `newgidmap`, by right, or one ID only.

use std::io;
use std::process::{Command, Stdio};

use super::ids;
use crate::SandboxError;

/// Subordinate IDs: first, count.
type SubIds = Vec<(u32, u32)>;

/// Writes both maps of `pid`: as many IDs as this user may have.
pub(super) fn write(pid: u32) -> Result<(), SandboxError> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if uid == 0 && write_own(pid).is_ok() {
        return Ok(());
    }
    let name = user_name(uid);
    let users = sub_ids("/etc/subuid", uid, name.as_deref());
    let groups = sub_ids("/etc/subgid", uid, name.as_deref());
    if !users.is_empty()
        && !groups.is_empty()
        && tool("newuidmap", pid, uid, &users).is_ok()
        && tool("newgidmap", pid, gid, &groups).is_ok()
    {
        return Ok(());
    }
    write_single(pid, uid, gid)
}

/// Whoever is root already maps all that there is, each to itself.
fn write_own(pid: u32) -> io::Result<()> {
    for map in ["uid_map", "gid_map"] {
        let ranges = ids::read_map(map).unwrap_or_default();
        let text: String = ranges
            .iter()
            .map(|(inside, _, length)| format!("{inside} {inside} {length}\n"))
            .collect();
        fs_err::write(format!("/proc/{pid}/{map}"), text)?;
    }
    Ok(())
}

/// One ID, which the kernel lets everybody map; groups can only be kept then.
fn write_single(pid: u32, uid: u32, gid: u32) -> Result<(), SandboxError> {
    let write = |file: &str, text: String| {
        let path = format!("/proc/{pid}/{file}");
        fs_err::write(&path, text).map_err(|cause| SandboxError::Map { what: path, cause })
    };
    // Part of a map may be there already, from a tool that failed at the other one.
    let unset = |file: &str| {
        fs_err::read_to_string(format!("/proc/{pid}/{file}")).is_ok_and(|text| text.is_empty())
    };
    if unset("uid_map") {
        write("uid_map", format!("0 {uid} 1\n"))?;
    }
    if unset("gid_map") {
        write("setgroups", "deny".to_owned())?;
        write("gid_map", format!("0 {gid} 1\n"))?;
    }
    Ok(())
}

fn tool(tool: &'static str, pid: u32, own: u32, ranges: &SubIds) -> Result<(), SandboxError> {
    let failed = |cause| SandboxError::Map { what: tool.to_owned(), cause };
    let mut command = Command::new(tool);
    command.arg(pid.to_string()).args(["0", &own.to_string(), "1"]);
    let mut next = 1_u32;
    for (first, count) in ranges {
        command.args([next.to_string(), first.to_string(), count.to_string()]);
        next = next.saturating_add(*count);
    }
    let output = command.stdin(Stdio::null()).output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(io::Error::other(said)))
}

/// Reads `user:first:count` lines for a user by name or number.
pub(crate) fn sub_ids(path: &str, uid: u32, name: Option<&str>) -> SubIds {
    parse(&fs_err::read_to_string(path).unwrap_or_default(), uid, name)
}

fn parse(text: &str, uid: u32, name: Option<&str>) -> SubIds {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let user = fields.next()?;
            if user != number && Some(user) != name {
                return None;
            }
            let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            (count > 0).then_some((first, count))
        })
        .collect()
}

/// This user's name, as the host's own file has it.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let passwd = fs_err::read_to_string("/etc/passwd").ok()?;
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_are_found_by_name_and_number() {
        let text = "me:100000:65536\nother:200000:65536\n1000:300000:10\nme:x:1\nme:5:0\n\n";
        assert_eq!(parse(text, 1000, Some("me")), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(parse(text, 1, None), []);
    }
}
