//! What the address of a git repository says: fragment and query (B6-21).

use crate::op::GitOp;

/// Reads a source that [is a repository](gantry_parser::remote::source_kind).
///
/// # Errors
/// Text, in BuildKit's words, if its fragment or query makes no sense.
pub(super) fn parse(source: &str) -> Result<GitOp, String> {
    let (rest, fragment) = match source.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (source, None),
    };
    let (remote, query) = match rest.split_once('?') {
        Some((remote, query)) => (remote, Some(query)),
        None => (rest, None),
    };
    read(remote, fragment, query)
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
    fn fragment_and_query_say_what_to_take() {
        let git = parse("https://x/y.git#v1:docs").unwrap();
        assert_eq!(
            (git.remote.as_str(), git.reference.as_deref()),
            ("https://x/y.git", Some("v1"))
        );
        assert_eq!(git.subdir.as_deref(), Some("docs"));
        let git = parse("https://x/y.git?tag=v2&subdir=a&keep-git-dir&submodules=0").unwrap();
        assert_eq!(git.reference.as_deref(), Some("refs/tags/v2"));
        assert!(git.keep_git_dir && !git.submodules);
        let error = |text| parse(text).unwrap_err();
        assert_eq!(error("https://x/y.git?nope=1"), "unexpected query \"nope\"");
        assert_eq!(error("https://x/y.git?ref="), "query \"ref\" has no value");
        assert_eq!(error("https://x/y.git?ref=b#a"), "ref conflicts: \"a\" vs \"b\"");
    }
}
