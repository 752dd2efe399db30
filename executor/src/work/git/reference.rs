//! References: which commit is meant.

use gantry_solver::op::GitOp;

use super::super::fault::Fault;
use super::program::Git;
use super::remote::Remote;

/// A commit that is meant.
pub(super) struct Commit {
    /// Its whole id.
    pub(super) id: String,
    /// The full name of the reference that leads to it, if it was looked up.
    pub(super) name: Option<String>,
}

/// Asks the repository, unless the reference is a commit.
pub(super) fn find(git: &Git, remote: &Remote, op: &GitOp) -> Result<Commit, Fault> {
    if let Some(checksum) = &op.checksum
        && !is_hex(checksum)
    {
        return Err(Fault::refused_with(
            format!("invalid git checksum {checksum:?}"),
            "Write a commit, or the first digits of one",
        ));
    }
    let wanted = match (&op.reference, &op.checksum) {
        (_, Some(commit)) if op.fetch_by_commit && is_commit(commit) => commit,
        (Some(reference), _) => reference,
        // A whole commit is one by itself; a part of one only checks what the default branch has.
        (None, Some(commit)) if is_commit(commit) => commit,
        (None, _) => "HEAD",
    };
    check(wanted)?;
    if is_commit(wanted) {
        let id = wanted.to_ascii_lowercase();
        verify(op, &[&id])?;
        return Ok(Commit { id, name: None });
    }
    let peeled = format!("{wanted}^{{}}");
    let what = format!("look up `{wanted}` in {}", remote.address);
    let listed = git.run(&what, &["ls-remote", "--", &remote.address, wanted, &peeled])?;
    let found = choose(&listed, wanted).ok_or_else(|| {
        let message = format!("repository does not contain ref {wanted}");
        match is_hex(wanted) && wanted.len() >= 4 {
            true => Fault::refused_with(message, "Write a commit with all of its digits"),
            false => Fault::refused_with(
                message,
                "`git ls-remote` lists the branches and tags that there are",
            ),
        }
    })?;
    verify(op, &[found.commit, found.tag])?;
    Ok(Commit { id: found.commit.to_owned(), name: Some(found.name.to_owned()) })
}

/// What a line of `ls-remote` says, and the line of what the tag leads to.
struct Found<'a> {
    name: &'a str,
    /// The tag itself, if it is one with a message; else the commit.
    tag: &'a str,
    commit: &'a str,
}

/// The name itself or below `refs/`, then a branch, then a tag: as BuildKit does.
fn choose<'a>(listed: &'a str, wanted: &str) -> Option<Found<'a>> {
    let lines: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(id, _)| is_commit(id))
        .collect();
    let by_name = |name: &str| lines.iter().find(|(_, listed)| *listed == name).copied();
    let partial = format!("refs/{}", wanted.trim_start_matches("refs/"));
    let names =
        [wanted.to_owned(), partial, format!("refs/heads/{wanted}"), format!("refs/tags/{wanted}")];
    let (tag, name) = names.iter().find_map(|name| by_name(name))?;
    let commit = by_name(&format!("{name}^{{}}")).map_or(tag, |(commit, _)| commit);
    Some(Found { name, tag, commit })
}

/// B6-23: a commit or the beginning of one; of a tag with a message, the tag's own id will do.
fn verify(op: &GitOp, ids: &[&str]) -> Result<(), Fault> {
    let Some(wanted) = &op.checksum else { return Ok(()) };
    let lower = wanted.to_ascii_lowercase();
    if ids.iter().any(|id| id.starts_with(&lower)) {
        return Ok(());
    }
    let got = ids.first().copied().unwrap_or_default();
    Err(Fault::refused_with(
        format!("expected checksum to match {wanted}, got {got}"),
        "If the reference was meant to move, write its commit into the checksum",
    ))
}

/// Refuses what is no name of a reference, so that it can be neither an option nor a pattern.
fn check(reference: &str) -> Result<(), Fault> {
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let invalid = reference.is_empty()
        || reference.starts_with(['-', '/', '.'])
        || reference.ends_with(['/', '.'])
        || reference.contains("..")
        || reference.contains("//")
        || reference.contains("@{")
        || reference.contains(bad);
    match invalid {
        true => Err(Fault::refused_with(
            format!("invalid git reference {reference:?}"),
            "Name a branch, a tag or a commit",
        )),
        false => Ok(()),
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// SHA-1 or SHA-256, with all of its digits.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_are_refused() {
        for bad in [
            "--upload-pack=touch /x",
            "-x",
            "",
            "a b",
            "a:b",
            "a..b",
            "a^{}",
            "*",
            "a\nb",
            "/a",
            "a/",
            "@{-1}",
            "refs//x",
            "\\x",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["main", "v1.2.3", "feature/x-1", "refs/pull/1/head", "HEAD", "a@b"] {
            assert!(check(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_branch_comes_before_a_tag_and_a_tag_is_peeled() {
        let id = |digit: &str| digit.repeat(40);
        let listed = format!(
            "{}\trefs/heads/x/v1\n{}\trefs/tags/v1\n{}\trefs/tags/v1^{{}}\n",
            id("a"),
            id("b"),
            id("c")
        );
        let found = choose(&listed, "v1").unwrap();
        assert_eq!((found.tag, found.commit), (&*id("b"), &*id("c")));
        let listed = format!("{listed}{}\trefs/heads/v1\n", id("d"));
        assert_eq!(choose(&listed, "v1").unwrap().commit, id("d"));
        assert_eq!(choose(&listed, "refs/tags/v1").unwrap().commit, id("c"));
        assert!(choose(&listed, "v2").is_none());
        assert!(choose("nonsense\trefs/heads/v1\n", "v1").is_none());
    }
}
