//! `--chown` and WORKDIR's owner: names looked up in the snapshot's own account files.
//!
//! Those files are hostile: opened inside the root, regular files only, bounded.

use gantry_tree::{Follow, TreePath};

use super::Executor;
use super::fault::{Fault, NO_SUCH_GROUP, NO_SUCH_USER};
use super::stack::Stack;

/// Account files larger than this are refused.
const LIMIT: u64 = 8 << 20;

/// What to do where no names can be looked up.
const GIVE_NUMBERS: &str = "Give the user and the group as numbers";

/// Resolves `user[:group]`. A number alone is the group too; a name alone brings its own group.
pub(crate) fn resolve(text: &str, stack: &Stack, executor: &Executor) -> Result<(u32, u32), Fault> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let read = |path: &str| account_file(path, stack, executor);
    let (uid, primary) = match number(user) {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => find_user(&read("etc/passwd")?, user).ok_or_else(|| {
            let message = format!("unable to find user {user}: no matching entries in passwd file");
            Fault::refused_with(message, NO_SUCH_USER)
        })?,
    };
    let gid = match group {
        None => primary,
        Some(group) => match number(group) {
            Some(gid) => gid,
            None => find_group(&read("etc/group")?, group).ok_or_else(|| {
                let message =
                    format!("unable to find group {group}: no matching entries in group file");
                Fault::refused_with(message, NO_SUCH_GROUP)
            })?,
        },
    };
    Ok((uid, gid))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Reads an account file; one that isn't there is empty.
fn account_file(path: &str, stack: &Stack, executor: &Executor) -> Result<String, Fault> {
    let path = TreePath::clamp(path).unwrap_or_else(|_| TreePath::root());
    let view = stack.view();
    let Some((layer, entry)) = view.lookup(&path, Follow::Last) else { return Ok(String::new()) };
    let real = view.real((layer, entry));
    if real.content().is_none() {
        return Err(Fault::refused_with(
            format!("Refused to read `/{path}`: it is no regular file"),
            GIVE_NUMBERS,
        ));
    }
    let bytes = stack.root(layer, executor)?.read(&real.path, LIMIT)?;
    let bytes = bytes.ok_or_else(|| {
        Fault::refused_with(format!("Refused to read `/{path}`: it is too large"), GIVE_NUMBERS)
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find_user(passwd: &str, user: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let ids = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (name == user).then_some(ids)
    })
}

fn find_group(groups: &str, group: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        (name == group).then_some(gid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_broken_lines_skipped() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:50::/:/bin/false\n";
        assert_eq!(find_user(passwd, "app"), Some((1000, 50)));
        assert_eq!(find_user(passwd, "broken"), None);
        assert_eq!(find_group("root:x:0:\nstaff:x:50:app\n", "staff"), Some(50));
        assert_eq!(number("12"), Some(12));
        assert_eq!(number("+1"), None);
        assert_eq!(number("99999999999"), None);
    }
}
