//! What the address of a git repository says: fragment and query (B6-21).

use gantry_parser::go::{parse_bool, quote};
use gantry_parser::{Diagnostic, Span};

use crate::op::GitOp;

/// Why the address of a repository makes no sense. Displays as BuildKit says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadAddress {
    message: String,
    hint: String,
}

impl BadAddress {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        BadAddress { message: message.into(), hint: hint.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Says it about a place in the Dockerfile.
    pub(crate) fn at(self, span: Span) -> Diagnostic {
        Diagnostic::error(self.message, span).with_hint(self.hint)
    }
}

/// What may stand in a query.
const KEYS: &str = "ref, branch, tag, commit, checksum, subdir, keep-git-dir, submodules, mtime, \
                    fetch-by-commit";

/// Reads a source that [is a repository](gantry_parser::remote::source_kind); also returns what
/// its query says of `.git`, if it says anything.
///
/// # Errors
/// Its fragment or query makes no sense.
pub(crate) fn parse(source: &str) -> Result<(GitOp, Option<bool>), BadAddress> {
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
) -> Result<(GitOp, Option<bool>), BadAddress> {
    let mut git = GitOp {
        remote,
        reference: None,
        subdir: None,
        keep_git_dir: false,
        checksum: None,
        submodules: true,
        commit_time: None,
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
            let message = format!("query {} has multiple values", quote(&key));
            return Err(BadAddress::new(message, "Keep one of them"));
        }
        let given = some(&value);
        let needed = || {
            given.ok_or_else(|| {
                let message = format!("query {} has no value", quote(&key));
                BadAddress::new(message, format!("Write `{key}=…`, or remove it"))
            })
        };
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
                    "checkout" => Some(false),
                    "commit" => Some(true),
                    other => {
                        let message = format!(
                            "invalid mtime value: {} (must be \"checkout\" or \"commit\")",
                            quote(other)
                        );
                        let hint = "Write `mtime=commit` for times that never change";
                        return Err(BadAddress::new(message, hint));
                    }
                }
            }
            _ => {
                let message = format!("unexpected query {}", quote(&key));
                let near = gantry_parser::did_you_mean(&key, KEYS.split(", "), true);
                return Err(BadAddress::new(
                    message,
                    match near {
                        Some(near) => format!("Write `{near}=…`"),
                        None => format!("A query may say {KEYS}"),
                    },
                ));
            }
        }
        seen.push(key);
    }
    if tag.is_some() && branch.is_some() {
        return Err(BadAddress::new("branch conflicts with tag", "Keep one of the two"));
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

fn set(what: &str, slot: &mut Option<String>, value: String) -> Result<(), BadAddress> {
    match slot {
        Some(old) if *old != value => {
            let message = format!("{what} conflicts: {} vs {}", quote(old), quote(&value));
            Err(BadAddress::new(message, "Say it once: behind the `#`, or in the query"))
        }
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// Go's `strconv.ParseBool`; a name alone counts as true.
fn flag(key: &str, value: &str) -> Result<bool, BadAddress> {
    let flag = if value.is_empty() { Some(true) } else { parse_bool(value) };
    flag.ok_or_else(|| {
        BadAddress::new(
            format!("invalid {key} value: {}", quote(value)),
            format!("Write `{key}=true` or `{key}=false`"),
        )
    })
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
        assert!(git.keep_git_dir && !git.submodules && git.commit_time.is_none());
        let git = parse("https://x/y.git?branch=refs/heads/b&mtime=commit&commit=0123");
        assert_eq!(git.reference.as_deref(), Some("refs/heads/b"));
        assert_eq!(git.checksum.as_deref(), Some("0123"));
        assert_eq!(git.commit_time, Some(true));
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
            assert_eq!(parse(&format!("https://x/y.git?{query}")).unwrap_err().message, message);
        }
    }
}
