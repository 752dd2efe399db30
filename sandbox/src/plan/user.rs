//! Who runs it: `USER` looked up in the root filesystem's own account files.
//!
//! These files are the image's, so nothing about them is trusted: they are opened inside the root,
//! must be regular files, and are read up to a limit (CVE-2024-9676).

use gantry_tree::{Root, TreeError, TreePath};

use crate::{SpawnError, UserSpec};

/// The largest account file that is read. Directories of a company have a few MiB.
const LIMIT: u64 = 16 << 20;

/// The largest ID that Docker takes.
const LARGEST_ID: u32 = i32::MAX as u32;

/// A user as the kernel knows it, and its home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

impl Account {
    fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), home: "/root".to_owned() }
    }
}

/// Finds out who runs it.
///
/// The group that it runs in is among the supplementary ones, too, as BuildKit and runc have it:
/// dropped by a set-gid program, it must not be lost for files that shut it out (CVE-2022-2995).
pub(crate) fn look_up(root: &Root, user: &UserSpec) -> Result<Account, SpawnError> {
    let mut account = match user {
        UserSpec::Root => Account::root(),
        UserSpec::Ids { uid, gid, groups } => {
            let home = if *uid == 0 { "/root" } else { "/" }.to_owned();
            Account { uid: *uid, gid: *gid, groups: groups.clone(), home }
        }
        UserSpec::Text(text) => {
            let passwd = account_file(root, "/etc/passwd")?;
            let group = account_file(root, "/etc/group")?;
            resolve(text, &passwd, &group)?
        }
    };
    if !account.groups.contains(&account.gid) {
        account.groups.insert(0, account.gid);
    }
    Ok(account)
}

fn account_file(root: &Root, name: &'static str) -> Result<Vec<u8>, SpawnError> {
    let refused = |reason| SpawnError::AccountFile { path: name, reason };
    let path = TreePath::clamp(name).map_err(|_| refused("its name is malformed"))?;
    match root.read(&path, LIMIT) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(refused("it is larger than 16 MiB")),
        Err(TreeError::NotAFile { .. }) => Err(refused("it is not a regular file")),
        // Missing, a directory, a circle of links: nobody is in it.
        Err(_) => Ok(Vec::new()),
    }
}

/// `user[:group]`, as runc and BuildKit read it.
fn resolve(text: &str, passwd: &[u8], group: &[u8]) -> Result<Account, SpawnError> {
    let (user, group_name) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let entry = lines(passwd).find(|fields| {
        fields.len() >= 4
            && (fields[0] == user || (number.is_some() && fields[2].parse().ok() == number))
    });

    let mut account = Account::root();
    let mut name = None;
    match (&entry, number) {
        (Some(fields), _) => {
            account.uid = fields[2].parse().unwrap_or(0);
            account.gid = fields[3].parse().unwrap_or(0);
            account.home = fields.get(5).copied().unwrap_or_default().to_owned();
            name = Some(fields[0]);
        }
        (None, Some(uid)) => {
            account.uid = uid;
            account.home = if uid == 0 { "/root" } else { "/" }.to_owned();
        }
        (None, None) => return Err(SpawnError::NoSuchUser(user.to_owned())),
    }
    if account.home.is_empty() {
        account.home = "/".to_owned();
    }

    match (group_name, name) {
        (Some(wanted), _) => {
            let number = wanted.parse::<u32>().ok();
            let found = lines(group).find(|fields| {
                fields.len() >= 3
                    && (fields[0] == wanted
                        || (number.is_some() && fields[2].parse().ok() == number))
            });
            account.gid = match (found.and_then(|fields| fields[2].parse().ok()), number) {
                (Some(gid), _) | (None, Some(gid)) => gid,
                (None, None) => return Err(SpawnError::NoSuchGroup(wanted.to_owned())),
            };
        }
        (None, Some(name)) => {
            account.groups = lines(group)
                .filter(|fields| fields.len() >= 4 && fields[3].split(',').any(|m| m == name))
                .filter_map(|fields| fields[2].parse().ok())
                .collect();
        }
        (None, None) => {}
    }
    // More than the kernel takes is nobody's account.
    account.groups.truncate(65_535);
    let in_range = |id: &u32| *id <= LARGEST_ID;
    let all_in_range =
        in_range(&account.uid) && in_range(&account.gid) && account.groups.iter().all(in_range);
    if all_in_range { Ok(account) } else { Err(SpawnError::IdOutOfRange) }
}

/// The lines of an account file, in fields. What is not UTF-8 is nobody's name.
fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&str>> {
    file.split(|&byte| byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\n\
        app:x:1000:1001::/home/app:/bin/sh\nnohome:x:7:8:::\nhuge:x:4294967294:0::/:\n";
    const GROUP: &[u8] =
        b"root:x:0:\nwheel:x:10:root,app\naudio:x:29:app\nstaff:x:50:\nbad\nempty:x:99\n";

    fn check(text: &str, expect: Result<(u32, u32, &[u32], &str), &str>) {
        let found = resolve(text, PASSWD, GROUP)
            .map(|account| (account.uid, account.gid, account.groups, account.home))
            .map_err(|error| error.to_string());
        let expect = expect
            .map(|(uid, gid, groups, home)| (uid, gid, groups.to_vec(), home.to_owned()))
            .map_err(str::to_owned);
        assert_eq!(found, expect, "USER {text}");
    }

    #[test]
    fn users_and_groups_are_found_as_docker_finds_them() {
        check("app", Ok((1000, 1001, &[10, 29], "/home/app")));
        check("1000", Ok((1000, 1001, &[10, 29], "/home/app")));
        check("app:staff", Ok((1000, 50, &[], "/home/app")));
        check("app:77", Ok((1000, 77, &[], "/home/app")));
        check("", Ok((0, 0, &[10], "/root")));
        check(":wheel", Ok((0, 10, &[], "/root")));
        check("app:", Ok((1000, 1001, &[10, 29], "/home/app")));
        check("4242", Ok((4242, 0, &[], "/")));
        check("4242:4243", Ok((4242, 4243, &[], "/")));
        check("nohome", Ok((7, 8, &[], "/")));
    }

    #[test]
    fn strangers_are_named() {
        check("x", Err("unable to find user x: no matching entries in passwd file"));
        check("app:x", Err("unable to find group x: no matching entries in group file"));
        check("huge", Err("uids and gids must be in range 0-2147483647"));
        check("4294967295", Err("uids and gids must be in range 0-2147483647"));
        check("broken", Err("unable to find user broken: no matching entries in passwd file"));
    }
}
