//! Which sources of ADD are git repositories, and what their address says (B6-21).

use crate::op::GitOp;

/// Reads the source of an ADD; `None` if it is a path or a plain download.
///
/// # Errors
/// Text, in BuildKit's words, if it is a repository whose fragment or query makes no sense.
pub(super) fn parse(source: &str) -> Option<Result<GitOp, String>> {
    let (rest, fragment) = match source.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (source, None),
    };
    let (remote, query) = match rest.split_once('?') {
        Some((remote, query)) => (remote, Some(query)),
        None => (rest, None),
    };
    is_remote(remote).then(|| read(remote, fragment, query))
}

fn is_remote(remote: &str) -> bool {
    if let Some(rest) = remote.strip_prefix("https://").or_else(|| remote.strip_prefix("http://")) {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        return path.trim_end_matches('/').ends_with(".git");
    }
    if remote.starts_with("ssh://") || remote.starts_with("git://") {
        return true;
    }
    // `user@host:path`, as scp has it.
    match remote.split_once(':') {
        Some((host, path)) if !path.starts_with("//") => {
            let word = |text: &str| {
                !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
            };
            host.split_once('@').is_some_and(|(user, host)| word(user) && word(host))
        }
        _ => false,
    }
}

fn read(remote: &str, fragment: Option<&str>, query: Option<&str>) -> Result<GitOp, String> {
    let mut git = GitOp {
        remote: remote.to_owned(),
        reference: None,
        subdir: None,
        keep_git_dir: false,
        checksum: None,
        submodules: true,
    };
    if let Some(fragment) = fragment {
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        git.reference = some(reference);
        git.subdir = some(subdir);
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let needed = || some(value).ok_or_else(|| format!("query {key:?} has no value"));
        match key {
            "ref" => set("ref", &mut git.reference, needed()?)?,
            "branch" => set("ref", &mut git.reference, format!("refs/heads/{}", needed()?))?,
            "tag" => set("ref", &mut git.reference, format!("refs/tags/{}", needed()?))?,
            "commit" | "checksum" => set("checksum", &mut git.checksum, needed()?)?,
            "subdir" => set("subdir", &mut git.subdir, needed()?)?,
            "keep-git-dir" => git.keep_git_dir = flag(key, value)?,
            "submodules" => git.submodules = flag(key, value)?,
            _ => return Err(format!("unexpected query {key:?}")),
        }
    }
    Ok(git)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn set(what: &str, slot: &mut Option<String>, value: String) -> Result<(), String> {
    match slot {
        Some(old) if *old != value => Err(format!("{what} conflicts: {old:?} vs {value:?}")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("invalid {key} value: {value:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_files_and_downloads() {
        for git in [
            "https://github.com/a/b.git",
            "http://x/y.git/",
            "https://github.com/a/b.git#v1:sub",
            "git@github.com:a/b",
            "ssh://git@x/y",
            "git://x/y",
        ] {
            assert!(parse(git).is_some(), "{git}");
        }
        for other in ["https://x/y.tar.gz", "github.com/a/b", "a/b.git", "a:b", "C:/x", "https://x"]
        {
            assert!(parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn fragment_and_query_say_what_to_take() {
        let git = parse("https://x/y.git#v1:docs").unwrap().unwrap();
        assert_eq!(
            (git.remote.as_str(), git.reference.as_deref()),
            ("https://x/y.git", Some("v1"))
        );
        assert_eq!(git.subdir.as_deref(), Some("docs"));
        let git =
            parse("https://x/y.git?tag=v2&subdir=a&keep-git-dir&submodules=0").unwrap().unwrap();
        assert_eq!(git.reference.as_deref(), Some("refs/tags/v2"));
        assert!(git.keep_git_dir && !git.submodules);
        let error = |text| parse(text).unwrap().unwrap_err();
        assert_eq!(error("https://x/y.git?nope=1"), "unexpected query \"nope\"");
        assert_eq!(error("https://x/y.git?ref="), "query \"ref\" has no value");
        assert_eq!(error("https://x/y.git?ref=b#a"), "ref conflicts: \"a\" vs \"b\"");
    }
}
