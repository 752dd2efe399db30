//! What the address of a git repository says: fragment and query (B6-21).

use super::go::quote;
use crate::op::GitOp;

/// Reads a source that [is a repository](gantry_parser::remote::source_kind); also returns what
/// its query says of `.git`, if it says anything.
///
/// # Errors
/// Text, in BuildKit's words, if its fragment or query makes no sense.
pub(crate) fn parse(source: &str) -> Result<(GitOp, Option<bool>), String> {
    let (rest, fragment) = match source.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (source, None),
    };
    let (remote, query) = match rest.split_once('?') {
        Some((remote, query)) => (remote, Some(query)),
        None => (rest, None),
    };
    let remote = match remote.strip_prefix("github.com/") {
        Some(path) => format!("https://github.com/{path}"),
        None => remote.to_owned(),
    };
    read(remote, fragment, query)
}

fn read(
    remote: String,
    fragment: Option<&str>,
    query: Option<&str>,
) -> Result<(GitOp, Option<bool>), String> {
    let mut git = GitOp {
        remote,
        reference: None,
        subdir: None,
        keep_git_dir: false,
        checksum: None,
        submodules: true,
        commit_time: false,
        fetch_by_commit: false,
    };
    if let Some(fragment) = fragment {
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        git.reference = some(reference);
        git.subdir = some(subdir);
    }
    let (mut keep, mut tag, mut branch) = (None, None, None);
    let mut seen: Vec<String> = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key), decoded(value));
        if seen.contains(&key) {
            return Err(format!("query {} has multiple values", quote(&key)));
        }
        let given = some(&value);
        let needed = || given.ok_or_else(|| format!("query {} has no value", quote(&key)));
        match key.as_str() {
            "ref" => set("ref", &mut git.reference, needed()?)?,
            "branch" => branch = Some(below("refs/heads/", needed()?)),
            "tag" => tag = Some(below("refs/tags/", needed()?)),
            "commit" | "checksum" => set("checksum", &mut git.checksum, needed()?)?,
            "subdir" => set("subdir", &mut git.subdir, needed()?)?,
            "keep-git-dir" => keep = Some(flag(&key, &value)?),
            "submodules" => git.submodules = flag(&key, &value)?,
            "fetch-by-commit" => {
                needed()?;
                git.fetch_by_commit = flag(&key, &value)?;
            }
            "mtime" => {
                git.commit_time = match needed()?.as_str() {
                    "checkout" => false,
                    "commit" => true,
                    other => {
                        return Err(format!(
                            "invalid mtime value: {} (must be \"checkout\" or \"commit\")",
                            quote(other)
                        ));
                    }
                }
            }
            _ => return Err(format!("unexpected query {}", quote(&key))),
        }
        seen.push(key);
    }
    if tag.is_some() && branch.is_some() {
        return Err("branch conflicts with tag".to_owned());
    }
    if let Some(reference) = tag.or(branch) {
        set("ref", &mut git.reference, reference)?;
    }
    git.keep_git_dir = keep == Some(true);
    Ok((git, keep))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn below(prefix: &str, name: String) -> String {
    if name.starts_with(prefix) { name } else { format!("{prefix}{name}") }
}

fn set(what: &str, slot: &mut Option<String>, value: String) -> Result<(), String> {
    match slot {
        Some(old) if *old != value => {
            Err(format!("{what} conflicts: {} vs {}", quote(old), quote(&value)))
        }
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// Go's `strconv.ParseBool`; a name alone counts as true.
fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("invalid {key} value: {}", quote(value))),
    }
}

/// Undoes the percent encoding of a query; what is none stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex
            .filter(|hex| *first == b'%' && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (_, Some(byte)) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            (b'+', None) => bytes.push(b' '),
            (other, None) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragment_and_query_say_what_to_take() {
        let parse = |text| parse(text).unwrap().0;
        let git = parse("https://x/y.git#v1:docs");
        assert_eq!(
            (git.remote.as_str(), git.reference.as_deref()),
            ("https://x/y.git", Some("v1"))
        );
        assert_eq!(git.subdir.as_deref(), Some("docs"));
        let git = parse("https://x/y.git?tag=v2&subdir=a%2Fb&keep-git-dir&submodules=0");
        assert_eq!(git.reference.as_deref(), Some("refs/tags/v2"));
        assert_eq!(git.subdir.as_deref(), Some("a/b"));
        assert!(git.keep_git_dir && !git.submodules && !git.commit_time);
        let git = parse("https://x/y.git?branch=refs/heads/b&mtime=commit&commit=0123");
        assert_eq!(git.reference.as_deref(), Some("refs/heads/b"));
        assert_eq!(git.checksum.as_deref(), Some("0123"));
        assert!(git.commit_time);
        assert_eq!(parse("github.com/a/b#c").remote, "https://github.com/a/b");
    }

    #[test]
    fn what_makes_no_sense_is_said_in_buildkits_words() {
        for (query, message) in [
            ("nope=1", "unexpected query \"nope\""),
            ("ref=", "query \"ref\" has no value"),
            ("mtime", "query \"mtime\" has no value"),
            ("ref=b#a", "ref conflicts: \"a\" vs \"b\""),
            ("ref=b&tag=a", "ref conflicts: \"b\" vs \"refs/tags/a\""),
            ("ref=a&ref=a", "query \"ref\" has multiple values"),
            ("subdir=b#:a", "subdir conflicts: \"a\" vs \"b\""),
            ("tag=a&branch=b", "branch conflicts with tag"),
            ("mtime=x", "invalid mtime value: \"x\" (must be \"checkout\" or \"commit\")"),
            ("keep-git-dir=x", "invalid keep-git-dir value: \"x\""),
            ("submodules=x", "invalid submodules value: \"x\""),
            ("fetch-by-commit=x", "invalid fetch-by-commit value: \"x\""),
        ] {
            assert_eq!(parse(&format!("https://x/y.git?{query}")).unwrap_err(), message);
        }
    }
}
